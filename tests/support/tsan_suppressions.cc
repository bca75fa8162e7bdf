// What ThreadSanitizer is to pass over, linked into the tests of its build.

extern "C" const char* __tsan_default_suppressions() {  // NOLINT
  // SQLite reads the head of its log's index while it may be written, twice, and compares both and
  // their checksum.
  return "race:walIndexTryHdr\nrace:walIndexWriteHdr\n";
}
