#include "openface/face_analyser/alignment.h"

#include <algorithm>
#include <cmath>

#include "openface/core/error.h"
#include "openface/shape/rotation.h"

namespace openface {

namespace {

constexpr int n = face_landmark_count;

// Jaw sides, nose without its tip, eye corners and lower lids: points that expressions hardly move
// (section 4.1).
constexpr std::array<int, 24> rigid_landmarks{1,  2,  3,  4,  12, 13, 14, 15, 27, 28, 29, 31,
                                              32, 33, 34, 35, 36, 39, 40, 41, 42, 45, 46, 47};
constexpr int rigid_count = int(rigid_landmarks.size());

// The linear part of the similarity from the landmarks to the mean shape times `scale` (section 4.2).
Similarity rigid_similarity(const float* landmarks, const float* mean_shape, double scale) {
    const float factor = float(scale);
    std::array<float, rigid_count> from_x, from_y, to_x, to_y;
    for (std::size_t i = 0; i < rigid_landmarks.size(); ++i) {
        const int landmark = rigid_landmarks[i];
        from_x[i] = landmarks[landmark];
        from_y[i] = landmarks[landmark + n];
        to_x[i] = mean_shape[landmark] * factor;
        to_y[i] = mean_shape[landmark + n] * factor;
    }
    return similarity_between(from_x.data(), from_y.data(), to_x.data(), to_y.data(), rigid_count);
}

// A position in 1/1024 px; limited far outside of any image, so that the conversion and the sums below can't
// overflow.
std::int32_t fixed_point(double position) {
    return std::int32_t(std::nearbyint(std::clamp(position * 1024.0, -0x1p29, 0x1p29)));
}

}  // namespace

AlignmentWarp alignment_warp(const float* landmarks, const float* mean_shape, float tx, float ty, int size,
                             double scale) {
    const Similarity a = rigid_similarity(landmarks, mean_shape, scale);
    const float middle = float(size / 2);
    // One fused and one rounded product, as the build of the reference had them (section 4.3).
    const float origin_x = std::fma(a.xy, ty, a.xx * tx);
    const float origin_y = std::fma(a.yy, ty, a.yx * tx);
    const AlignmentWarp warp{a.xx, a.xy, -origin_x + middle, a.yx, a.yy, -origin_y + middle};
    for (const float entry : warp)
        if (!std::isfinite(entry))
            throw Error(Error::Code::input,
                        "landmarks: they determine no alignment (do they all fall on one point?)");
    return warp;
}

void mask_points(const float* landmarks, const AlignmentWarp& warp, double scale, float* points) {
    for (int i = 0; i < n; ++i) {
        const double x = landmarks[i];
        const double y = landmarks[i + n];
        points[i] = float(warp[0] * x + warp[1] * y) + warp[2];
        points[i + n] = float(warp[3] * x + warp[4] * y) + warp[5];
    }
    const double rise = (30.0 / 0.7) * scale;
    const auto move_up = [&](int landmark) { points[landmark + n] = float(points[landmark + n] - rise); };
    move_up(0);
    for (int landmark = 16; landmark <= 26; ++landmark) move_up(landmark);
}

SamplingMap sampling_map(const AlignmentWarp& warp) {
    const double m00 = warp[0], m01 = warp[1], m02 = warp[2], m10 = warp[3], m11 = warp[4], m12 = warp[5];
    const double determinant = m00 * m11 - m01 * m10;
    const double d = determinant != 0.0 ? 1.0 / determinant : 0.0;
    SamplingMap map{};
    map.i[0] = m11 * d;
    map.i[1] = -m01 * d;
    map.i[3] = -m10 * d;
    map.i[4] = m00 * d;
    map.i[2] = -map.i[0] * m02 - map.i[1] * m12;
    map.i[5] = -map.i[3] * m02 - map.i[4] * m12;
    return map;
}

void AlignedPlanes::resize(int size_) {
    if (size == size_) return;
    size = size_;
    stride = padded(size_) + 8;
    const std::size_t count = std::size_t(stride) * std::size_t(size_) + 64;
    blue.assign(count, 0);
    green.assign(count, 0);
    red.assign(count, 0);
    mask.assign(count, 0);
}

void rasterise_mask(const std::vector<Triangle>& triangles, const float* points, AlignedPlanes& planes) {
    std::fill(planes.mask.begin(), planes.mask.end(), 0);
    const auto corner = [&](int landmark) {
        return std::array<float, 2>{points[landmark], points[landmark + n]};
    };
    for (const Triangle& triangle : triangles) {
        const auto a = corner(triangle.a), b = corner(triangle.b), c = corner(triangle.c);
        rasterise_triangle(a.data(), b.data(), c.data(), planes.size, planes.mask.data(), planes.stride);
    }
}

void warp_into_planes(const ViewU8& frame, const AlignmentWarp& warp, AlignedPlanes& planes,
                      AlignmentScratch& scratch) {
    const SamplingMap map = sampling_map(warp);
    const std::size_t columns = std::size_t(planes.stride);
    if (scratch.columns_x.size() < columns) {
        scratch.columns_x.resize(columns);
        scratch.columns_y.resize(columns);
    }
    for (int x = 0; x < planes.stride; ++x) {
        scratch.columns_x[std::size_t(x)] = fixed_point(map.i[0] * x);
        scratch.columns_y[std::size_t(x)] = fixed_point(map.i[3] * x);
    }
    for (int y = 0; y < planes.size; ++y) {
        const std::ptrdiff_t start = std::ptrdiff_t(y) * planes.stride;
        sample_aligned_row(frame, scratch.columns_x.data(), scratch.columns_y.data(),
                           fixed_point(map.i[1] * y + map.i[2]) + 16,
                           fixed_point(map.i[4] * y + map.i[5]) + 16, planes.size, planes.mask.data() + start,
                           planes.blue.data() + start, planes.green.data() + start,
                           planes.red.data() + start);
    }
}

void interleave(const AlignedPlanes& planes, bool grey, ImageU8& image) {
    const int size = planes.size;
    image.resize(size, size, grey ? 1 : 3);
    for (int y = 0; y < size; ++y) {
        const std::ptrdiff_t start = std::ptrdiff_t(y) * planes.stride;
        const std::uint8_t* blue = planes.blue.data() + start;
        const std::uint8_t* green = planes.green.data() + start;
        const std::uint8_t* red = planes.red.data() + start;
        std::uint8_t* out = image.row(y);
        for (int x = 0; x < size; ++x) {
            if (grey) {
                out[x] = std::uint8_t((3735 * blue[x] + 19235 * green[x] + 9798 * red[x] + 16384) >> 15);
            } else {
                out[3 * x] = blue[x];
                out[3 * x + 1] = green[x];
                out[3 * x + 2] = red[x];
            }
        }
    }
}

}  // namespace openface
