// Fixed inputs -> one 64-bit hash per stage over every bit of its results, on the instruction set in use.
//
// Two machines, or two instruction sets of one machine, that print the same hashes compute the same numbers.
// The inputs come from a counter in integers, so they are the same everywhere.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "openface/core/image.h"

namespace openface::tests {

struct StageDigest {
    std::string stage;
    std::uint64_t hash = 0;
};

// The stages that need no weights: arithmetic, images, shape model, FHOG, layers.
std::vector<StageDigest> digest_stages();
// Everything from pixels to the row of a CSV file, with the CLNF weights of a model folder: the picture is
// shown three times, moved by a pixel each time. The tracker is given the detected boxes: its own search at
// the first sight of a face, over 11 rotations, would keep an emulator busy for half a minute.
std::vector<StageDigest> digest_tracking(const std::filesystem::path& models, const ViewU8& picture);

}  // namespace openface::tests
