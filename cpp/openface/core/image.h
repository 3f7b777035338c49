// Images: ImageView borrows pixels that somebody else owns (a numpy array, a video frame), Image owns them.
//
// Pixels are interleaved (B, G, R for colour), rows may be further apart than their pixels need. The centre
// of the top-left pixel is (0, 0); x runs to the right, y down.
#pragma once

#include <cstddef>
#include <cstdint>

#include "openface/core/aligned.h"

namespace openface {

template <class T>
struct ImageView {
    const T* data = nullptr;
    int width = 0;
    int height = 0;
    int channels = 1;
    std::ptrdiff_t stride = 0;  // elements (not bytes) from one row to the next

    const T* row(int y) const { return data + y * stride; }
    bool empty() const { return width <= 0 || height <= 0; }
};

template <class T>
class Image {
  public:
    Image() = default;
    Image(int width, int height, int channels = 1) { resize(width, height, channels); }

    // Keeps the allocation when the new size fits into it; the pixels are then unspecified.
    void resize(int width, int height, int channels = 1) {
        width_ = width;
        height_ = height;
        channels_ = channels;
        // Slack behind the last row: kernels may load a whole vector that starts at the last pixel.
        pixels_.resize(std::size_t(width) * std::size_t(height) * std::size_t(channels) + 64);
    }
    int width() const { return width_; }
    int height() const { return height_; }
    int channels() const { return channels_; }
    std::ptrdiff_t stride() const { return std::ptrdiff_t(width_) * channels_; }
    T* data() { return pixels_.data(); }
    const T* data() const { return pixels_.data(); }
    T* row(int y) { return pixels_.data() + y * stride(); }
    const T* row(int y) const { return pixels_.data() + y * stride(); }
    ImageView<T> view() const { return {pixels_.data(), width_, height_, channels_, stride()}; }

  private:
    int width_ = 0;
    int height_ = 0;
    int channels_ = 1;
    AlignedVector<T> pixels_;
};

using ImageU8 = Image<std::uint8_t>;
using ImageF32 = Image<float>;
using ViewU8 = ImageView<std::uint8_t>;
using ViewF32 = ImageView<float>;

}  // namespace openface
