#include "weights/adapt.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>

#include "base/log.h"
#include "weights/block_weights.h"
#include "weights/convert.h"
#include "weights/messages.h"
#include "weights/weight_changes.h"

namespace safelight::weights {
namespace {

constexpr size_t kMostNamed = 3;  // modules in one message

/// One module of an adapter on its way into a network's weights.
struct Use {
  const Adapter& adapter;
  const AdapterModule& module;
  double strength;

  Error fails(ErrorCode code, const std::string& what) const {
    const Family family = adapter.family();
    const std::string remedy = family == Family::kUnknown
                                   ? "Is it for another kind of model?"
                                   : fmt::format("It is for models of {}.", name_of(family));
    return {code, fmt::format("adapter {}: module '{}' {}. {}", adapter.name(),
                              printable(module.name, 200), what, remedy)};
  }
};

/// Elements of a row that one input channel has: 9 for a 3x3 convolution.
int64_t kernel_of(const TensorView& weight) {
  int64_t kernel = 1;
  for (size_t i = 2; i < weight.shape.size(); ++i) kernel *= weight.shape[i];
  return kernel;
}

/// Collects the changes of a network's weights.
class Changes {
 public:
  explicit Changes(const BoundWeights& base) : base_(base) {}

  Status add(const Use& use, const std::vector<std::string>& layers);

  ChangedWeights take() {
    ChangedWeights all;
    for (auto& [name, weight] : changed_) all.emplace(name, std::move(weight));
    return all;
  }

 private:
  ChangedWeight& changed(const std::string& name) {
    auto& weight = changed_[name];
    if (!weight) weight = std::make_shared<ChangedWeight>(base_.at(name));
    return *weight;
  }

  Status add_delta(const Use& use, const std::vector<std::string>& layers);
  Status add_dora(const Use& use, const std::string& layer, std::shared_ptr<const Delta> delta,
                  const TensorView& magnitude);
  Status multiply(const Use& use, const std::string& layer);
  Status add_bias(const Use& use, const std::string& layer);

  const BoundWeights& base_;
  std::map<std::string, std::shared_ptr<ChangedWeight>> changed_;
};

Status Changes::add(const Use& use, const std::vector<std::string>& layers) {
  if (use.module.kind == AdapterKind::kIa3) {
    if (layers.size() == 1) return multiply(use, layers[0]);
    return use.fails(ErrorCode::kUnsupported, "multiplies layers that are one in the adapter");
  }
  const bool product =
      use.module.kind != AdapterKind::kDiff && use.module.kind != AdapterKind::kNorm;
  if (product || use.module.part("diff") != nullptr) {
    if (Status good = add_delta(use, layers); !good) return good;
  }
  const bool bias = use.module.part("diff_b") != nullptr || use.module.part("up_bias") != nullptr;
  if (!bias) return {};
  if (layers.size() == 1) return add_bias(use, layers[0]);
  return use.fails(ErrorCode::kUnsupported, "has a bias for layers that are one in the adapter");
}

Status Changes::add_delta(const Use& use, const std::vector<std::string>& layers) {
  const std::optional<DeltaSize> size = delta_size(use.module);
  int64_t rows = 0;
  bool fits = size.has_value();
  for (const std::string& layer : layers) {
    const TensorView& weight = base_.at(layer + ".weight");
    rows += weight.shape[0];
    fits = fits && weight.count() == weight.shape[0] * size->row_size;
  }
  if (!fits || rows != size->rows) {
    const std::string got = size ? fmt::format("[{}, {}]", size->rows, size->row_size)
                                 : std::string("several sizes at once");
    return use.fails(
        ErrorCode::kCorruptFile,
        fmt::format(
            "makes a matrix of {}; the layer '{}' needs [{}, {}]", got, layers[0], rows,
            base_.at(layers[0] + ".weight").count() / base_.at(layers[0] + ".weight").shape[0]));
  }
  if (use.strength == 0) return {};
  const std::shared_ptr<const Delta> delta = make_delta(use.module);
  const TensorView* magnitude = use.module.part("dora");
  if (magnitude == nullptr) magnitude = use.module.part("magnitude");
  if (magnitude != nullptr) {
    if (layers.size() == 1) return add_dora(use, layers[0], delta, *magnitude);
    return use.fails(ErrorCode::kUnsupported, "has a magnitude for layers that are one in it");
  }
  int64_t offset = 0;
  for (const std::string& layer : layers) {
    ChangedWeight& weight = changed(layer + ".weight");
    weight.add(added(delta, use.strength * use.adapter.scale(use.module), offset));
    offset += weight.rows();
  }
  return {};
}

Status Changes::add_dora(const Use& use, const std::string& layer,
                         std::shared_ptr<const Delta> delta, const TensorView& magnitude) {
  ChangedWeight& weight = changed(layer + ".weight");
  const int64_t kernel = kernel_of(base_.at(layer + ".weight"));
  const int64_t inputs = weight.row_size() / kernel;
  // PEFT's are always of the rows; LyCORIS has [rows, 1, ...] or, in older files, [1, inputs, ...].
  const bool of_rows = magnitude.count() == weight.rows() &&
                       (use.module.part("magnitude") == &magnitude || magnitude.shape.size() < 2 ||
                        magnitude.shape[0] == weight.rows());
  if (!of_rows && magnitude.count() != inputs) {
    return use.fails(ErrorCode::kCorruptFile,
                     fmt::format("has a magnitude of shape {}; the layer '{}' has {} outputs and "
                                 "{} inputs",
                                 shape_text(magnitude.shape), layer, weight.rows(), inputs));
  }
  weight.add(decomposed(weight, std::move(delta), use.adapter.scale(use.module),
                        to_tensor(magnitude), of_rows ? Channels::kOut : Channels::kIn, kernel,
                        use.strength));
  return {};
}

Status Changes::multiply(const Use& use, const std::string& layer) {
  const TensorView& weight = base_.at(layer + ".weight");
  const int64_t kernel = kernel_of(weight), rows = weight.shape[0];
  const int64_t inputs = weight.count() / rows / kernel;
  const TensorView* const peft = use.module.part("ia3_l");
  const TensorView& given = peft ? *peft : *use.module.part("weight");
  bool of_inputs = false;
  if (peft != nullptr) {  // [rows, 1], [1, inputs]; of convolutions [1, rows or inputs, 1, 1]
    of_inputs = given.count() == inputs && given.shape.size() >= 2 && given.shape[0] == 1 &&
                (given.shape.size() == 2 || inputs != rows);
  } else {
    of_inputs = to_tensor(*use.module.part("on_input")).data.at(0) != 0;
  }
  if (given.count() != (of_inputs ? inputs : rows)) {
    return use.fails(ErrorCode::kCorruptFile,
                     fmt::format("has {} factors; the layer '{}' has {} outputs and {} inputs",
                                 given.count(), layer, rows, inputs));
  }
  if (use.strength == 0) return {};
  Tensor factors = to_tensor(given);
  for (float& factor : factors.data) {
    const double change = peft ? double{factor} - 1 : double{factor};
    factor = static_cast<float>(1 + use.strength * change);
  }
  // PEFT multiplies what the layer gives, and with it the bias.
  const std::string bias = layer + ".bias";
  if (peft != nullptr && !of_inputs && base_.contains(bias))
    changed(bias).add(multiplied(factors, Channels::kOut, 1));
  changed(layer + ".weight")
      .add(multiplied(std::move(factors), of_inputs ? Channels::kIn : Channels::kOut, kernel));
  return {};
}

Status Changes::add_bias(const Use& use, const std::string& layer) {
  const std::string name = layer + ".bias";
  const TensorView* const whole = use.module.part("diff_b");
  const TensorView& given = whole ? *whole : *use.module.part("up_bias");
  if (!base_.contains(name) || base_.at(name).count() != given.count()) {
    return use.fails(
        ErrorCode::kCorruptFile,
        fmt::format("changes a bias of {} numbers; the layer '{}' has {}", given.count(), layer,
                    base_.contains(name) ? base_.at(name).count() : 0));
  }
  if (use.strength == 0) return {};
  const double scale = whole ? 1 : use.adapter.scale(use.module);
  changed(name).add(added_vector(to_tensor(given), use.strength * scale));
  return {};
}

}  // namespace

Result<ChangedWeights> adapt(const BoundWeights& base, const AdapterNames& names,
                             std::span<const AdapterUse> uses) {
  Changes changes(base);
  const bool unet = names.network() == "unet";
  for (const AdapterUse& use : uses) {
    for (const AdapterModule& module : use.adapter->modules()) {
      if (module.network != names.network()) continue;
      const std::vector<std::string>* const layers = names.find(module.path);
      if (layers == nullptr) continue;
      const double strength = (unet ? use.unet : use.text) *
                              block_weight(use.block_weights, names.network(), layers->front());
      if (Status good = changes.add({*use.adapter, module, strength}, *layers); !good)
        return good.error();
    }
  }
  return changes.take();
}

std::vector<std::string> unmatched_modules(const Adapter& adapter,
                                           std::span<const AdapterNames* const> networks) {
  std::vector<std::string> unmatched;
  for (const AdapterModule& module : adapter.modules()) {
    const bool found =
        std::any_of(networks.begin(), networks.end(), [&](const AdapterNames* names) {
          return names->network() == module.network && names->find(module.path) != nullptr;
        });
    if (!found) unmatched.push_back(module.name);
  }
  return unmatched;
}

Status check_adapter_fits(const Adapter& adapter, std::span<const AdapterNames* const> networks,
                          const std::string& model) {
  const std::vector<std::string> unmatched = unmatched_modules(adapter, networks);
  std::string named;
  for (size_t i = 0; i < std::min(unmatched.size(), kMostNamed); ++i)
    named += fmt::format("{}'{}'", i == 0 ? "" : ", ", printable(unmatched[i], 200));
  if (unmatched.size() == adapter.modules().size()) {
    const bool known = adapter.family() != Family::kUnknown;
    return Error{
        ErrorCode::kUnsupported,
        fmt::format("adapter {} has nothing for a model of {}: {} means none of its layers. "
                    "{}",
                    adapter.name(), model, named,
                    known ? fmt::format("It is for models of {}.", name_of(adapter.family()))
                          : "Is it for another kind of model?")};
  }
  if (!unmatched.empty()) {
    spdlog::warn("adapter {}: {} of {} modules mean no layer of this model and do nothing: {}{}",
                 adapter.name(), unmatched.size(), adapter.modules().size(), named,
                 unmatched.size() > kMostNamed ? ", ..." : "");
  }
  return {};
}

}  // namespace safelight::weights
