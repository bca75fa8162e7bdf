#include "app/command_line.h"
#include "app/thread_settings.h"

int main(int argc, char** argv) {
  safelight::app::apply_thread_settings(argc, argv);
  return safelight::app::run_program(argc, argv);
}
