#include <boost/json/parse.hpp>

#include "api/native/operation_docs.h"

namespace safelight::api::native {
namespace {

constexpr const char* kSchemas = R"json({
"Error": {"type": "object", "required": ["error"], "properties": {"error": {"type": "object",
  "required": ["code", "message"], "properties": {
    "code": {"type": "string", "description": "for programs: invalid_argument, not_found, busy, ..."},
    "message": {"type": "string", "description": "what was got, what is possible, what helps"},
    "field": {"type": ["string", "null"], "description": "path of the wrong field, such as jobs[3].steps"},
    "limits": {"type": "object", "description": "minimum, maximum, choices and default of the field"},
    "request_id": {"type": ["string", "null"]}}}}},
"Links": {"type": "object", "properties": {"self": {"type": "string"}, "events": {"type": "string"},
  "preview": {"type": "string"}}},
"Progress": {"type": "object", "properties": {"fraction": {"type": "number", "minimum": 0, "maximum": 1},
  "batch": {"type": "integer"}, "batches": {"type": "integer"}, "step": {"type": "integer"},
  "steps": {"type": "integer"}}},
"State": {"type": "string", "enum": ["queued", "running", "succeeded", "failed", "cancelled", "refused", "expired"]},
"Result": {"type": "object", "required": ["index", "url", "media_type", "sha256"], "properties": {
  "index": {"type": "integer"}, "url": {"type": "string"}, "media_type": {"type": "string"},
  "bytes": {"type": "integer"}, "sha256": {"type": "string"}, "width": {"type": "integer"},
  "height": {"type": "integer"}, "seed": {"type": "integer"}, "subseed": {"type": "integer"},
  "infotext": {"type": "string", "description": "SD WebUI's generation text"},
  "saved_as": {"type": "string", "description": "path in the output folder"}}},
"Job": {"type": "object", "required": ["id", "state", "links"], "properties": {
  "id": {"type": "string"}, "state": {"$ref": "#/components/schemas/State"}, "owner": {"type": "string"},
  "source": {"type": "string"}, "priority": {"type": "integer"},
  "position": {"type": ["integer", "null"], "description": "jobs before it"},
  "eta_seconds": {"type": ["number", "null"], "description": "until it ends; null when not known"},
  "progress": {"$ref": "#/components/schemas/Progress"},
  "attempt": {"type": "integer"}, "max_attempts": {"type": "integer"},
  "created": {"type": "string", "format": "date-time"},
  "started": {"type": ["string", "null"], "format": "date-time"},
  "finished": {"type": ["string", "null"], "format": "date-time"},
  "deadline": {"type": ["string", "null"], "format": "date-time"},
  "timeout": {"type": "number"}, "cancel_requested": {"type": "boolean"}, "has_preview": {"type": "boolean"},
  "worker": {"type": "string"}, "client_id": {"type": "string"}, "model_sha256": {"type": "string"},
  "error": {"type": "object", "properties": {"code": {"type": "string"}, "message": {"type": "string"}}},
  "request": {"type": "object", "description": "with every choice made; what differs from the defaults"},
  "delivery": {"$ref": "#/components/schemas/Delivery"},
  "results": {"type": "array", "items": {"$ref": "#/components/schemas/Result"}},
  "links": {"$ref": "#/components/schemas/Links"}}},
"JobList": {"type": "object", "properties": {
  "jobs": {"type": "array", "items": {"$ref": "#/components/schemas/Job"}},
  "next_before": {"type": ["string", "null"], "description": "for \"before\", when there are more"}}},
"AcceptedJob": {"type": "object", "required": ["id", "state", "links"], "properties": {
  "id": {"type": "string"}, "state": {"$ref": "#/components/schemas/State"},
  "repeated": {"type": "boolean", "description": "the idempotency key named a job that there was already"},
  "position": {"type": ["integer", "null"]}, "eta_seconds": {"type": ["number", "null"]},
  "links": {"$ref": "#/components/schemas/Links"},
  "warnings": {"type": "array", "items": {"type": "string"}}}},
"Accepted": {"oneOf": [{"$ref": "#/components/schemas/AcceptedJob"}, {"type": "object", "required": ["jobs"],
  "properties": {"jobs": {"type": "array", "items": {"$ref": "#/components/schemas/AcceptedJob"}},
  "warnings": {"type": "array", "items": {"type": "string"}}}}]},
"Cancelled": {"type": "object", "properties": {"id": {"type": "string"},
  "state": {"$ref": "#/components/schemas/State"}, "cancel_requested": {"type": "boolean"}}},
"Event": {"type": "object", "required": ["type"], "properties": {
  "type": {"type": "string", "enum": ["state", "progress", "picture", "preview", "subscribed", "unsubscribed", "error"]},
  "job": {"type": "string"}, "sequence": {"type": "integer"}, "time": {"type": "string", "format": "date-time"},
  "state": {"$ref": "#/components/schemas/State"}, "detail": {"type": "string"},
  "snapshot": {"type": "boolean", "description": "the state as it was when the subscription began"},
  "progress": {"$ref": "#/components/schemas/Progress"}, "eta_seconds": {"type": ["number", "null"]},
  "position": {"type": ["integer", "null"]}, "index": {"type": "string"}, "media_type": {"type": "string"},
  "image": {"type": "string", "contentEncoding": "base64"}, "code": {"type": "string"},
  "message": {"type": "string"}}},
"Queue": {"type": "object", "properties": {"running": {"type": "integer"}, "queued": {"type": "integer"},
  "jobs": {"type": "array", "items": {"$ref": "#/components/schemas/Job"}}}},
"Model": {"type": "object", "properties": {"name": {"type": "string"}, "title": {"type": "string"},
  "kind": {"type": "string"}, "sha256": {"type": "string"}, "bytes": {"type": "integer"},
  "changed": {"type": "string", "format": "date-time"}, "loaded": {"type": "boolean"},
  "path": {"type": "string", "description": "for admins"}}},
"ModelList": {"type": "object", "properties": {"models": {"type": "array",
  "items": {"$ref": "#/components/schemas/Model"}}}},
"Samplers": {"type": "object", "properties": {
  "samplers": {"type": "array", "items": {"type": "object", "properties": {"name": {"type": "string"},
    "aliases": {"type": "string"}, "uses_schedule": {"type": "boolean"}}}},
  "schedules": {"type": "array", "items": {"type": "object", "properties": {"name": {"type": "string"},
    "label": {"type": "string"}}}}}},
"Tokens": {"type": "object", "properties": {"tokens": {"type": "integer", "description": "of the longest text"},
  "limit": {"type": "integer", "description": "the next multiple of 75"}, "chunks": {"type": "integer"},
  "parts": {"type": "array", "description": "that AND joins", "items": {"type": "object", "properties": {
    "weight": {"type": "number"}, "schedule": {"type": "array", "items": {"type": "object", "properties": {
      "end_step": {"type": "integer"}, "text": {"type": "string"}, "tokens": {"type": "integer"},
      "chunks": {"type": "integer"}}}}}}}}},
"Status": {"type": "object", "properties": {"version": {"type": "string"},
  "started": {"type": "string", "format": "date-time"}, "uptime_seconds": {"type": "number"},
  "workers": {"type": "array", "items": {"type": "object"}}, "memory": {"type": "object"}}},
"Health": {"type": "object", "properties": {"status": {"type": "string"},
  "problems": {"type": "array", "items": {"type": "string"}}}},
"Login": {"type": "object", "required": ["password"], "properties": {"username": {"type": "string"},
  "password": {"type": "string", "description": "or an API key"}}},
"Me": {"type": "object", "properties": {"name": {"type": "string"}, "role": {"type": "string"},
  "key_id": {"type": ["string", "null"]}, "quota": {"type": "object"}, "auth": {"type": "boolean"},
  "csrf_token": {"type": ["string", "null"]}}},
"Done": {"type": "object", "properties": {"status": {"type": "string"}}},
"ModelName": {"type": "object", "properties": {"model": {"type": "string", "description": "name, title or hash"}}},
"ImagesResponse": {"type": "object", "properties": {"created": {"type": "integer"},
  "data": {"type": "array", "items": {"type": "object", "properties": {"b64_json": {"type": "string"},
    "url": {"type": "string"}, "seed": {"type": "integer"}}}},
  "background": {"type": "string"}, "output_format": {"type": "string"}, "quality": {"type": "string"},
  "size": {"type": "string"}, "usage": {"type": "object"},
  "safelight": {"type": "object", "properties": {"job": {"type": "string"},
    "notes": {"type": "array", "items": {"type": "string"}}}}}},
"OpenAiModel": {"type": "object", "properties": {"id": {"type": "string"}, "object": {"type": "string"},
  "created": {"type": "integer"}, "owned_by": {"type": "string"}}},
"OpenAiModelList": {"type": "object", "properties": {"object": {"type": "string"}, "data": {"type": "array",
  "items": {"$ref": "#/components/schemas/OpenAiModel"}}}}
})json";

}  // namespace

boost::json::object answer_schemas() { return boost::json::parse(kSchemas).as_object(); }

}  // namespace safelight::api::native
