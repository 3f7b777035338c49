#include "openface/image/grey.h"

#include <cstring>
#include <string>

#include "openface/core/error.h"

namespace openface {

namespace {

void check_channels(int channels) {
    if (channels != 1 && channels != 3 && channels != 4)
        throw Error(Error::Code::input,
                    "an image must have 1, 3 or 4 channels, not " + std::to_string(channels));
}

void grey_row(const std::uint8_t* pixels, int channels, std::uint8_t* grey, int count) {
    if (channels == 3)
        grey_row_bgr(pixels, grey, count);
    else if (channels == 4)
        grey_row_bgra(pixels, grey, count);
    else
        std::memcpy(grey, pixels, std::size_t(count));
}

}  // namespace

void to_grey(const ViewU8& image, ImageU8& grey) {
    check_channels(image.channels);
    grey.resize(image.width, image.height);
    if (image.empty()) return;
    for (int y = 0; y < image.height; ++y) grey_row(image.row(y), image.channels, grey.row(y), image.width);
}

void to_grey(const ImageView<std::uint16_t>& image, ImageU8& grey) {
    check_channels(image.channels);
    grey.resize(image.width, image.height);
    if (image.empty()) return;
    ImageU8 narrow(image.width, 1, image.channels);
    for (int y = 0; y < image.height; ++y) {
        narrow_row(image.row(y), narrow.data(), image.width * image.channels);
        grey_row(narrow.data(), image.channels, grey.row(y), image.width);
    }
}

}  // namespace openface
