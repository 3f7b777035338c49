#include "openface/image/grey.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "openface/core/error.h"

namespace openface {

namespace {

constexpr int tile_width = 32;
constexpr int tile_height = 8;

void check_channels(int channels) {
    if (channels != 1 && channels != 3 && channels != 4)
        throw Error(Error::Code::input,
                    "an image must have 1, 3 or 4 channels, not " + std::to_string(channels));
}

void grey_row(const std::uint8_t* pixels, int channels, std::uint8_t* grey, int count, int readable) {
    if (channels == 3)
        grey_row_bgr(pixels, grey, count, readable);
    else if (channels == 4)
        grey_row_bgra(pixels, grey, count, readable);
    else
        std::memcpy(grey, pixels, std::size_t(count));
}

int tiles(int pixels, int tile) {
    return (pixels + tile - 1) / tile;
}

// Pieces of rows are too short for a processor to see by itself what is read next.
constexpr int rows_ahead = 4;
void approach(const std::uint8_t* memory, int bytes) {
    constexpr int cache_line = 64;
    for (int i = 0; i < bytes; i += cache_line) __builtin_prefetch(memory + i);
}

// The tiles of `tile` pixels, of a side of `size`, that an interval touches: [first, end).
struct TileRange {
    int first, end;
};
TileRange tiles_between(float low, float high, int size, int tile) {
    if (!(high >= 0.0f && low < float(size))) return {0, 0};
    return {int(std::max(low, 0.0f)) / tile, int(std::min(high, float(size - 1))) / tile + 1};
}

}  // namespace

void GreyPicture::begin(const ViewU8& image) {
    check_channels(image.channels);
    image_ = image;
    grey_.resize(image.width, image.height);
    converted_.assign(std::size_t(tiles(image.width, tile_width) * tiles(image.height, tile_height)), 0);
}

ViewU8 GreyPicture::view(const PixelBounds& bounds) {
    const TileRange columns = tiles_between(bounds.left, bounds.right, width(), tile_width);
    const TileRange rows = tiles_between(bounds.top, bounds.bottom, height(), tile_height);
    const std::scoped_lock lock(mutex_);
    for (int row = rows.first; row < rows.end; ++row) {
        std::uint8_t* converted = converted_.data() + row * tiles(width(), tile_width);
        for (int column = columns.first; column < columns.end;) {
            const int first = column;
            while (column < columns.end && converted[column] == 0) converted[column++] = 1;
            if (column > first)
                convert(row, first, column);
            else
                ++column;
        }
    }
    return grey_.view();
}

void GreyPicture::convert(int tile_row, int first_tile, int tile_end) {
    const int left = first_tile * tile_width, right = std::min(tile_end * tile_width, width());
    const int bottom = std::min((tile_row + 1) * tile_height, height());
    for (int y = tile_row * tile_height; y < bottom; ++y) {
        if (y + rows_ahead < height())
            approach(image_.row(y + rows_ahead) + left * image_.channels, (right - left) * image_.channels);
        grey_row(image_.row(y) + left * image_.channels, image_.channels, grey_.row(y) + left, right - left,
                 width() - left);
    }
}

void to_grey(const ImageView<std::uint16_t>& image, ImageU8& grey) {
    check_channels(image.channels);
    grey.resize(image.width, image.height);
    if (image.empty()) return;
    ImageU8 narrow(image.width, 1, image.channels);
    for (int y = 0; y < image.height; ++y) {
        narrow_row(image.row(y), narrow.data(), image.width * image.channels);
        grey_row(narrow.data(), image.channels, grey.row(y), image.width, image.width);
    }
}

}  // namespace openface
