#include "api/native/operation_docs.h"

#include <array>

namespace safelight::api::native {
namespace {

// clang-format off
constexpr std::array kSubmitParameters = {
    ParameterDoc{"Idempotency-Key", "header", "string",
                 "the same key of the same caller is the same job, however often it is sent"},
    ParameterDoc{"traceparent", "header", "string", "W3C trace context, kept with the job"}};
constexpr std::array kModelParameters = {
    ParameterDoc{"kind", "query", "string", "checkpoint (if left out), vae, lora, embedding, ..."}};
constexpr std::array kListParameters = {
    ParameterDoc{"state", "query", "string", "states separated by commas; all if left out"},
    ParameterDoc{"limit", "query", "integer", "at most so many, 1 to 500; 50 if left out"},
    ParameterDoc{"before", "query", "string", "only jobs before this id: the next page of older ones"},
    ParameterDoc{"owner", "query", "string", "jobs of this owner; for admins, who see all if it is left out"}};
constexpr std::array kGetParameters = {
    ParameterDoc{"detail", "query", "boolean", "with its request also while it is unfinished; asks the store"}};
constexpr std::array kCancelParameters = {
    ParameterDoc{"mode", "query", "string",
                 "drop (default): end as soon as possible; interrupt: keep the picture being drawn as far as it is"}};
constexpr std::array kEventsParameters = {
    ParameterDoc{"Last-Event-ID", "header", "integer", "changes of state up to this one are left out"},
    ParameterDoc{"previews", "query", "boolean", "send previews as well"},
    ParameterDoc{"preview_interval_ms", "query", "integer", "at most one preview in that time; 500 if left out"}};
constexpr std::array kResultParameters = {
    ParameterDoc{"download", "query", "boolean", "as an attachment, which browsers save"},
    ParameterDoc{"If-None-Match", "header", "string", "the ETag that the client has: 304 when it is still that"},
    ParameterDoc{"Range", "header", "string", "a range of bytes: 206"}};
constexpr std::array kQueueParameters = {
    ParameterDoc{"limit", "query", "integer", "jobs to list, 0 to 1000; 100 if left out"}};

constexpr std::array kOperations = {
    OperationDoc{"submitJobs", "jobs", "Ask for pictures", "One job, or up to 1,000 as {\"jobs\": [...]}, all or none. "
                 "A job is kept durably before this answers. Unknown fields are ignored and named in \"warnings\".",
                 kSubmitParameters, "JobRequest", 202, "application/json", "Accepted", "400 404 409 429"},
    OperationDoc{"listJobs", "jobs", "Jobs, newest first", "", kListParameters, "", 200, "application/json", "JobList", "400"},
    OperationDoc{"getJob", "jobs", "State, position, progress and results of a job",
                 "While the job is unfinished the answer comes from memory and leaves out the request.",
                 kGetParameters, "", 200, "application/json", "Job", "404"},
    OperationDoc{"cancelJob", "jobs", "Cancel a job", "A finished job stays what it is.", kCancelParameters, "",
                 200, "application/json", "Cancelled", "400 404"},
    OperationDoc{"watchJob", "jobs", "Events of a job, as server-sent events",
                 "Changes of state that were before, then live ones with progress; ends after the job's end.",
                 kEventsParameters, "", 200, "text/event-stream", "", "404"},
    OperationDoc{"getResult", "jobs", "A picture", "", kResultParameters, "", 200, "image/*", "", "206 304 404 416"},
    OperationDoc{"getPreview", "jobs", "The picture being drawn, as it is now",
                 "404 until there is one. Asking turns previews of the job on.", {}, "", 200, "image/jpeg", "", "404"},
    OperationDoc{"watchEvents", "events", "Events of jobs, over a WebSocket",
                 "Send {\"subscribe\": \"ID\" or \"*\" or [ids], \"previews\": true, \"preview_interval_ms\": 500} and "
                 "{\"unsubscribe\": ...}. Each message received is an Event.", {}, "", 101, "application/json", "Event", "404"},
    OperationDoc{"getQueue", "server", "What runs and what waits", "Counts of all; jobs of the caller.",
                 kQueueParameters, "", 200, "application/json", "Queue", ""},
    OperationDoc{"listModels", "models", "Checkpoints, or models of another kind", "", kModelParameters, "", 200, "application/json", "ModelList", ""},
    OperationDoc{"loadModel", "models", "Load a model now", "", {}, "ModelName", 200, "application/json", "Done", "404 507"},
    OperationDoc{"unloadModel", "models", "Drop a model, or all, from memory",
                 "Without a name all are dropped, with the worker process.", {}, "ModelName", 200, "application/json", "Done", "404"},
    OperationDoc{"refreshModels", "models", "Look for new model files", "", {}, "", 200, "application/json", "ModelList", ""},
    OperationDoc{"listSamplers", "models", "Samplers and noise schedules", "", {}, "", 200, "application/json", "Samplers", ""},
    OperationDoc{"countTokens", "server", "Count a prompt's tokens, and show how it is read", "", {}, "SingleJob", 200,
                 "application/json", "Tokens", "400"},
    OperationDoc{"getStatus", "server", "Workers, their models, memory", "", {}, "", 200, "application/json", "Status", ""},
    OperationDoc{"getOpenApi", "server", "This document", "", {}, "", 200, "application/json", "", ""},
    OperationDoc{"login_page", "auth", "The page on which people sign in", "", {}, "", 200, "text/html", "", ""},
    OperationDoc{"login", "auth", "Sign in", "Sets the session's cookie; also takes a form.", {}, "Login", 200,
                 "application/json", "Me", "400 401 429"},
    OperationDoc{"logout", "auth", "Sign out", "", {}, "", 200, "application/json", "", ""},
    OperationDoc{"me", "auth", "Who asks, and the token that cookie sessions repeat as X-CSRF-Token", "", {}, "", 200,
                 "application/json", "Me", ""},
    OperationDoc{"getHealth", "server", "Whether the process answers", "", {}, "", 200, "application/json", "Health", ""},
    OperationDoc{"getReadiness", "server", "Whether jobs are taken and can be run",
                 "503 while a worker cannot run, the store cannot be written, or the server drains.",
                 {}, "", 200, "application/json", "Health", "503"},
    OperationDoc{"getMetrics", "server", "Numbers in Prometheus' text form", "", {}, "", 200, "text/plain", "", ""},
    OperationDoc{"createImage", "openai", "Make pictures as OpenAI's images API does",
                 "With \"stream\": true the answer is server-sent events.", kSubmitParameters, "ImagesRequest", 200,
                 "application/json", "ImagesResponse", "400 404 429"},
    OperationDoc{"listOpenAiModels", "openai", "Models", "", {}, "", 200, "application/json", "OpenAiModelList", ""},
    OperationDoc{"getOpenAiModel", "openai", "A model", "", {}, "", 200, "application/json", "OpenAiModel", "404"},
    OperationDoc{"getFile", "openai", "A picture by a signed URL that expires", "", {}, "", 200, "image/*", "", "403 404"},
};
// clang-format on

}  // namespace

const OperationDoc* find_operation_doc(std::string_view name) {
  for (const OperationDoc& doc : kOperations) {
    if (doc.name == name) return &doc;
  }
  return nullptr;
}

}  // namespace safelight::api::native
