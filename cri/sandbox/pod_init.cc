// SPDX-License-Identifier: Apache-2.0
#include "cri/sandbox/pod_init.h"
namespace berth::cri {}
