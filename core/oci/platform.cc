// SPDX-License-Identifier: Apache-2.0
// Which entry of an index runs on this machine.
#include "core/base/text.h"
#include "core/oci/image.h"

namespace berth::oci {
namespace {

constexpr std::size_t kPlatformShown = 64;

// The variants that run on each other, as a level; 0 when the variant is not of such a family.
int variant_level(const Platform& platform) {
  const std::string& variant = platform.variant;
  if (platform.architecture == "amd64") {
    if (variant.empty()) return 1;
  } else if (platform.architecture == "arm") {
    if (variant.empty()) return 7;
  } else if (platform.architecture == "arm64") {
    if (variant.empty()) return 8;
  } else {
    return 0;
  }
  if (variant.size() == 2 && variant[0] == 'v' && variant[1] >= '1' && variant[1] <= '9') {
    return variant[1] - '0';
  }
  return 0;
}

std::string in_lower_case(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

// Builders and people write the kernel's names of machines; who names no system means linux, as it
// does for docker and containerd on a linux machine.
Platform normalized(Platform platform) {
  platform.os = in_lower_case(std::move(platform.os));
  platform.architecture = in_lower_case(std::move(platform.architecture));
  if (platform.os.empty() && !platform.architecture.empty()) platform.os = "linux";
  if (platform.architecture == "x86_64" || platform.architecture == "x86-64") {
    platform.architecture = "amd64";
  } else if (platform.architecture == "aarch64") {
    platform.architecture = "arm64";
  } else if (platform.architecture == "armhf") {
    platform.architecture = "arm";
    if (platform.variant.empty()) platform.variant = "v7";
  }
  return platform;
}

// Attestations and the like stand in an index beside the images. An image's type of artifact may be
// written out: it is that of its configuration (image-spec 1.1, descriptor.md).
bool is_image_entry(const Descriptor& entry) {
  const std::string& artifact = entry.artifact_type;
  if (!artifact.empty() && !is_image_config_media_type(artifact)) return false;
  const bool typed = is_manifest_media_type(entry.media_type) ||
                     is_index_media_type(entry.media_type) || entry.media_type.empty();
  return typed && entry.annotations.count("vnd.docker.reference.type") == 0;
}

}  // namespace

std::string Platform::text() const {
  std::string all = (os.empty() ? "?" : os) + "/" + (architecture.empty() ? "?" : architecture);
  if (!variant.empty()) all += "/" + variant;
  return all;
}

Platform host_platform() {
  Platform platform;
  platform.os = "linux";
#if defined(__x86_64__)
  platform.architecture = "amd64";
#elif defined(__aarch64__)
  platform.architecture = "arm64";
#else
#error "name this architecture as the image specification does"
#endif
  return platform;
}

bool platform_matches(const Platform& wanted, const Platform& raw_offer) {
  const Platform offered = normalized(raw_offer);
  if (wanted.os != offered.os || wanted.architecture != offered.architecture) return false;
  if (wanted.variant == offered.variant) return true;
  const int want = variant_level(wanted);
  const int offer = variant_level(offered);
  if (want == 0 || offer == 0) return false;
  return wanted.architecture == "arm64" ? want == offer : offer <= want;
}

Result<Descriptor> choose_platform(const Index& index, const Platform& wanted) {
  const Descriptor* best = nullptr;
  int best_level = -1;  // of one that names its platform
  std::string offered;
  for (const Descriptor& entry : index.manifests) {
    if (!is_image_entry(entry)) continue;
    // An entry that says nothing is for everyone, but only when no other fits.
    const bool says = entry.platform.has_value() &&
                      !(entry.platform->os.empty() && entry.platform->architecture.empty());
    if (!says) {
      if (best == nullptr) best = &entry;
      continue;
    }
    if (offered.size() < 200) {
      offered += (offered.empty() ? "" : ", ") + shortened(entry.platform->text(), kPlatformShown);
    }
    if (!platform_matches(wanted, *entry.platform)) continue;
    const int level = variant_level(normalized(*entry.platform));
    if (best_level < 0 || level > best_level) {
      best = &entry;
      best_level = level;
    }
  }
  if (best != nullptr) return *best;
  return make_error(Errc::not_found, "no image for " + wanted.text() + " in the index; it has " +
                                         (offered.empty() ? "none" : offered));
}

}  // namespace berth::oci
