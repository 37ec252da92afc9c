// SPDX-License-Identifier: Apache-2.0
#include "core/oci/spec.h"

namespace berth::oci {

const Namespace* find_namespace(const Linux& from, NamespaceType type) {
  for (const Namespace& one : from.namespaces) {
    if (one.type == type) return &one;
  }
  return nullptr;
}

}  // namespace berth::oci
