#include "weights/pickle.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <string>
#include <unordered_map>
#include <utility>

#include "weights/byte_reader.h"
#include "weights/pickle_values.h"

namespace safelight::weights {
namespace {

using Kind = Pickle::Kind;
using Id = Pickle::Id;
using Node = Pickle::Node;

// A checkpoint with all of its optimizer's states has less than a tenth of these.
constexpr size_t kMaxNodes = 1'000'000;
constexpr size_t kMaxSteps = 20'000'000;
constexpr size_t kMaxStack = 1'000'000;
constexpr size_t kMaxItems = 10'000'000;  // of all containers together
constexpr int kMaxProtocol = 5;

Error corrupt(std::string message) { return {ErrorCode::kCorruptFile, std::move(message)}; }

/// The stack machine of pickle.py's _Unpickler, without the calls.
class Machine {
 public:
  Machine(Bytes bytes, const GlobalCheck& check) : in_(bytes), check_(check) {}

  Result<Pickle> run() {
    for (size_t step = 0; step < kMaxSteps && !done_; ++step) {
      at_ = in_.at();
      const auto opcode = in_.number<uint8_t>();
      if (!opcode) return cut_short();
      if (Status did = execute(*opcode); !did) return did.error();
      const bool many = pickle_.nodes.size() > kMaxNodes || stack_.size() > kMaxStack ||
                        memo_.size() > kMaxNodes || items_ > kMaxItems;
      if (many) return corrupt(fmt::format("its pickle has more than {} values", kMaxNodes));
    }
    if (!done_) return corrupt(fmt::format("its pickle has more than {} steps", kMaxSteps));
    pickle_.size = in_.at();
    return std::move(pickle_);
  }

 private:
  Error cut_short() const {
    return corrupt(
        fmt::format("its pickle is cut short or damaged at byte {}; download it again", at_));
  }
  Error fault(std::string_view what) const {
    return corrupt(fmt::format("its pickle {} at byte {}", what, at_));
  }

  Status execute(uint8_t opcode);
  Status execute_container(uint8_t opcode);
  Status execute_call(uint8_t opcode);
  Status execute_memo(uint8_t opcode);

  // --- the stack ---
  Status push(Node node) {
    stack_.push_back(static_cast<Id>(pickle_.nodes.size()));
    items_ += node.items.size();
    pickle_.nodes.push_back(std::move(node));
    return {};
  }

  /// Values above the last mark.
  size_t depth() const { return stack_.size() - (marks_.empty() ? 0 : marks_.back()); }

  /// The values above the last mark, taken with it.
  Result<std::vector<Id>> pop_mark() {
    if (marks_.empty()) return fault("ends a group that did not begin");
    const auto first = stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back());
    std::vector<Id> values(first, stack_.end());
    stack_.erase(first, stack_.end());
    marks_.pop_back();
    return values;
  }
  Result<std::vector<Id>> pop(size_t count) {
    if (depth() < count) return fault("takes more values than there are");
    const auto first = stack_.end() - static_cast<std::ptrdiff_t>(count);
    std::vector<Id> values(first, stack_.end());
    stack_.erase(first, stack_.end());
    return values;
  }
  Result<Node*> top() {
    if (depth() == 0) return fault("uses a value that is missing");
    return &pickle_.nodes[stack_.back()];
  }

  Status push_group(Kind kind, Result<std::vector<Id>> items) {
    if (!items) return items.error();
    if (kind == Kind::kDict && items->size() % 2 != 0) return fault("has a key without a value");
    return push({.kind = kind, .items = *std::move(items)});
  }

  /// Adds to the list, set or dictionary on the stack; what an object would do with them is not
  /// known.
  Status add_items(Kind kind, const Result<std::vector<Id>>& items) {
    if (!items) return items.error();
    if (kind == Kind::kDict && items->size() % 2 != 0) return fault("has a key without a value");
    const Result<Node*> target = top();
    if (!target) return target.error();
    if ((*target)->kind == Kind::kObject) return {};
    if ((*target)->kind != kind) return fault("adds to what is no container");
    items_ += items->size();
    (*target)->items.insert((*target)->items.end(), items->begin(), items->end());
    return {};
  }

  Status push_global(std::string_view module, std::string_view name) {
    if (Status allowed = check_(module, name); !allowed) return allowed;
    return push({.kind = Kind::kGlobal, .text = name, .module = module});
  }

  Id class_of(Id callable) const;
  Status call(Id called, Id arguments);
  Status keep(uint64_t number) {
    if (depth() == 0) return fault("keeps a value that is missing");
    memo_.insert_or_assign(number, stack_.back());
    return {};
  }
  Status recall(std::optional<uint64_t> number) {
    if (!number) return cut_short();
    const auto found = memo_.find(*number);
    if (found == memo_.end()) return fault("recalls a value that it did not keep");
    stack_.push_back(found->second);
    return {};
  }
  std::optional<uint64_t> line_number() {
    const auto text = in_.line();
    uint64_t value = 0;
    if (!text) return std::nullopt;
    const auto read = std::from_chars(text->data(), text->data() + text->size(), value);
    if (read.ec != std::errc() || read.ptr != text->data() + text->size()) return std::nullopt;
    return value;
  }

  ByteReader in_;
  const GlobalCheck& check_;
  Pickle pickle_;
  std::vector<Id> stack_;
  std::vector<size_t> marks_;
  std::unordered_map<uint64_t, Id> memo_;
  size_t items_ = 0;  ///< in all containers
  uint64_t at_ = 0;   ///< where the opcode is
  bool done_ = false;
};

Status Machine::execute_container(uint8_t opcode) {
  switch (opcode) {
    case ')':
      return push({.kind = Kind::kTuple});
    case ']':
    case 0x8f:  // EMPTY_SET
      return push({.kind = Kind::kList});
    case '}':
      return push({.kind = Kind::kDict});
    case 't':
      return push_group(Kind::kTuple, pop_mark());
    case 0x85:
    case 0x86:
    case 0x87:
      return push_group(Kind::kTuple, pop(opcode - 0x84U));
    case 'l':
    case 0x91:  // FROZENSET
      return push_group(Kind::kList, pop_mark());
    case 'd':
      return push_group(Kind::kDict, pop_mark());
    case 'a':
      return add_items(Kind::kList, pop(1));
    case 'e':
    case 0x90:  // ADDITEMS
      return add_items(Kind::kList, pop_mark());
    case 's':
      return add_items(Kind::kDict, pop(2));
    default:  // u
      return add_items(Kind::kDict, pop_mark());
  }
}

/// Before torch 1.6, classes of modules were named with their source text from outside the pickle:
/// ("module", class, file, text).
Id Machine::class_of(Id callable) const {
  const Node& node = pickle_[callable];
  if (node.kind != Kind::kPersistent) return callable;
  const std::vector<Id>& parts = pickle_[node.items[0]].items;
  return parts.size() == 4 && pickle_[parts[0]].text == "module" ? parts[1] : callable;
}

/// A call is kept as an object, but for dictionaries, whose items are wanted.
Status Machine::call(Id called, Id arguments) {
  const Id callable = class_of(called);
  const Node& target = pickle_[callable];
  if (target.kind != Kind::kGlobal) return fault("calls what is no name");
  if (pickle_[arguments].kind != Kind::kTuple) return fault("calls without arguments");
  const bool dict = target.module == "collections" &&
                    (target.text == "OrderedDict" || target.text == "defaultdict");
  if (!dict) return push({.kind = Kind::kObject, .items = {callable, arguments}});
  Node made{.kind = Kind::kDict};
  // Python 2 gives the pairs as an argument.
  const std::vector<Id>& given = pickle_[arguments].items;
  if (!given.empty() && pickle_[given[0]].kind == Kind::kList) {
    for (const Id pair : pickle_[given[0]].items) {
      const std::vector<Id>& both = pickle_[pair].items;
      if (both.size() != 2) return fault("has a key without a value");
      made.items.insert(made.items.end(), both.begin(), both.end());
    }
  }
  return push(std::move(made));
}

Status Machine::execute_call(uint8_t opcode) {
  switch (opcode) {
    case 'c': {
      const auto module = in_.line(), name = in_.line();
      if (!module || !name) return cut_short();
      return push_global(*module, *name);
    }
    case 0x93: {  // STACK_GLOBAL
      const auto names = pop(2);
      if (!names) return names.error();
      const Node &module = pickle_[(*names)[0]], &name = pickle_[(*names)[1]];
      if (module.kind != Kind::kText || name.kind != Kind::kText)
        return fault("has a name that is no text");
      return push_global(module.text, name.text);
    }
    case 'R':
    case 0x81: {  // NEWOBJ
      const auto both = pop(2);
      if (!both) return both.error();
      return call((*both)[0], (*both)[1]);
    }
    case 0x92: {  // NEWOBJ_EX: with named arguments, which nothing here needs
      const auto parts = pop(3);
      if (!parts) return parts.error();
      return call((*parts)[0], (*parts)[1]);
    }
    case 'b': {
      const auto state = pop(1);
      if (!state) return state.error();
      const Result<Node*> target = top();
      if (!target) return target.error();
      if ((*target)->kind == Kind::kObject && (*target)->items.size() == 2)
        (*target)->items.push_back((*state)[0]);
      return {};
    }
    case 'Q':
      return push_group(Kind::kPersistent, pop(1));
    default:
      return Error{ErrorCode::kUnsupported,
                   fmt::format("its pickle uses opcode 0x{:02x} at byte {}, which torch does not "
                               "write; refused",
                               opcode, at_)};
  }
}

Status Machine::execute_memo(uint8_t opcode) {
  switch (opcode) {
    case 'q': {
      const auto number = in_.number<uint8_t>();
      return number ? keep(*number) : Status(cut_short());
    }
    case 'r': {
      const auto number = in_.number<uint32_t>();
      return number ? keep(*number) : Status(cut_short());
    }
    case 'p': {
      const auto number = line_number();
      return number ? keep(*number) : Status(cut_short());
    }
    case 0x94:  // MEMOIZE
      return keep(memo_.size());
    case 'h':
      return recall(in_.number<uint8_t>());
    case 'j':
      return recall(in_.number<uint32_t>());
    default:  // g
      return recall(line_number());
  }
}

Status Machine::execute(uint8_t opcode) {
  switch (opcode) {
    case 0x80: {  // PROTO
      const auto protocol = in_.number<uint8_t>();
      if (!protocol) return cut_short();
      if (*protocol > kMaxProtocol)
        return fault(fmt::format("has protocol {}; 0 to {} are known", *protocol, kMaxProtocol));
      return {};
    }
    case 0x95:  // FRAME
      return in_.number<uint64_t>() ? Status() : Status(cut_short());
    case '.': {
      const auto result = pop(1);
      if (!result) return result.error();
      pickle_.root = (*result)[0];
      done_ = true;
      return {};
    }
    case '(':
      if (marks_.size() >= kMaxStack) return fault("nests too deeply");
      marks_.push_back(stack_.size());
      return {};
    case '0': {
      const auto dropped = depth() == 0 ? pop_mark() : pop(1);
      return dropped ? Status() : Status(dropped.error());
    }
    case '1': {
      const auto dropped = pop_mark();
      return dropped ? Status() : Status(dropped.error());
    }
    case '2': {
      if (depth() == 0) return fault("uses a value that is missing");
      stack_.push_back(stack_.back());
      return {};
    }
    default:
      break;
  }
  const auto is_one_of = [opcode](std::string_view opcodes) {
    return opcodes.find(static_cast<char>(opcode)) != std::string_view::npos;
  };
  if (is_pickle_value(opcode)) {
    std::optional<Node> value = read_pickle_value(opcode, in_);
    return value ? push(*std::move(value)) : Status(cut_short());
  }
  if (is_one_of(")]}\x8ft\x85\x86\x87l\x91"
                "dae\x90su"))
    return execute_container(opcode);
  if (is_one_of("qrp\x94hjg")) return execute_memo(opcode);
  return execute_call(opcode);
}

}  // namespace

Result<Pickle> read_pickle(Bytes bytes, const GlobalCheck& check) {
  return Machine(bytes, check).run();
}

}  // namespace safelight::weights
