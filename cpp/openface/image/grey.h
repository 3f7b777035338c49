// Colour image -> grey image, as the landmark fitter and the validator read it (tracking.md, section 10.4).
//
// Y = (3735 B + 19235 G + 9798 R + 16384) >> 15 in integers. Alpha is ignored, a grey image is copied.
#pragma once

#include <mutex>
#include <vector>

#include "openface/core/dispatch.h"
#include "openface/core/image.h"

namespace openface {

// A part of an image: columns from left to right and rows from top to bottom, both ends included.
struct PixelBounds {
    float left, top, right, bottom;
};
inline constexpr PixelBounds everything{0.0f, 0.0f, 1e9f, 1e9f};

// The grey form of an image, converted tile by tile where it is first read: faces fill a small part of most
// frames, and a frame comes from memory that is farther away than what is computed with it.
class GreyPicture {
  public:
    // The next image, of which nothing is converted yet. Its pixels are borrowed until the next call.
    // Channels: 1 (grey), 3 (B, G, R) or 4 (B, G, R, alpha).
    void begin(const ViewU8& image);

    int width() const { return grey_.width(); }
    int height() const { return grey_.height(); }
    bool empty() const { return grey_.view().empty(); }
    // The whole picture; its pixels within the bounds are converted, others may hold anything. Bounds may
    // reach beyond the picture. Several threads may ask at the same time.
    ViewU8 view(const PixelBounds& bounds);

  private:
    void convert(int tile_row, int first_tile, int tile_end);

    ViewU8 image_;
    ImageU8 grey_;
    std::mutex mutex_;                     // of what follows
    std::vector<std::uint8_t> converted_;  // by tile, row by row
};

// 16-bit samples are first divided by 256, rounded to nearest (halves to even) and limited to 255.
void to_grey(const ImageView<std::uint16_t>& image, ImageU8& grey);

// `readable` pixels, `count` or more, may be read.
OPENFACE_KERNEL(grey_row_bgr, void(const std::uint8_t* bgr, std::uint8_t* grey, int count, int readable));
OPENFACE_KERNEL(grey_row_bgra, void(const std::uint8_t* bgra, std::uint8_t* grey, int count, int readable));
OPENFACE_KERNEL(narrow_row, void(const std::uint16_t* wide, std::uint8_t* narrow, int count));

}  // namespace openface
