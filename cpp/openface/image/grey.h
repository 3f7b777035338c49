// Colour image -> grey image, as the landmark fitter and the validator read it (tracking.md, section 10.4).
//
// Y = (3735 B + 19235 G + 9798 R + 16384) >> 15 in integers. Alpha is ignored, a grey image is copied.
#pragma once

#include "openface/core/dispatch.h"
#include "openface/core/image.h"

namespace openface {

// Resizes `grey` to the image's size. Channels: 1 (grey), 3 (B, G, R) or 4 (B, G, R, alpha).
void to_grey(const ViewU8& image, ImageU8& grey);
// 16-bit samples are first divided by 256, rounded to nearest (halves to even) and limited to 255.
void to_grey(const ImageView<std::uint16_t>& image, ImageU8& grey);

OPENFACE_KERNEL(grey_row_bgr, void(const std::uint8_t* bgr, std::uint8_t* grey, int count));
OPENFACE_KERNEL(grey_row_bgra, void(const std::uint8_t* bgra, std::uint8_t* grey, int count));
OPENFACE_KERNEL(narrow_row, void(const std::uint16_t* wide, std::uint8_t* narrow, int count));

}  // namespace openface
