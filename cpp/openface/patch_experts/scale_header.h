// The beginning of every patch expert file: scale, view centres, visibilities (models.md, sections 9 to 11
// and 17).
#pragma once

#include "openface/io/binary_reader.h"
#include "openface/io/text_reader.h"
#include "openface/patch_experts/patch_experts.h"

namespace openface {

// Checks every field. Confidences are sized and zero.
PatchExperts::Scale read_scale_header(BinaryReader& reader, int landmark_count);
PatchExperts::Scale read_scale_header(TextReader& reader, int landmark_count);

// Fails unless the newest scale has as many views as the first.
template <class Reader>
void check_view_count(const Reader& reader, const std::vector<PatchExperts::Scale>& scales) {
    if (scales.back().views.size() != scales.front().views.size())
        reader.fail("number of views", std::to_string(scales.back().views.size()) + ", but " +
                                           std::to_string(scales.front().views.size()) +
                                           " in the first scale");
}

// The support of an expert: width and height, equal and odd.
template <class Reader>
int read_support(Reader& reader, int low, int high) {
    const int width = reader.read_count("support width", low, high);
    const int height = reader.read_count("support height", low, high);
    if (width != height || width % 2 == 0)
        reader.fail("support",
                    std::to_string(width) + " x " + std::to_string(height) + " is not square and odd");
    return width;
}

// Throws Error(input) unless scale and view exist, the window is odd and in [1, 99] and the image is grey.
void check_query(const ResponseQuery& query, const PatchExperts& experts);

}  // namespace openface
