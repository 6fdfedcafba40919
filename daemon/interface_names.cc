#include "interface_names.h"

#include "record/labels.h"

namespace natsession {

std::string_view label_of_interface(std::string_view name) {
  const auto label = intern_label(name);
  return label ? *label : kUnknownInterface;
}

bool InterfaceNames::refresh() {
  // Where events were lost and the list could not be had, the next one that can is a change.
  const auto changed = table_.on_readable();
  if (!changed || !*changed) return false;
  labels_.clear();
  return true;
}

std::string_view InterfaceNames::name_of(std::uint32_t index) {
  const auto known = labels_.find(index);
  if (known != labels_.end()) return known->second;
  const Interface* const interface = table_.find(index);
  if (interface == nullptr) return kUnknownInterface;
  return labels_[index] = label_of_interface(interface->name);
}

}  // namespace natsession
