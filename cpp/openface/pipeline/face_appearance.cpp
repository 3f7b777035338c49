#include "openface/pipeline/face_appearance.h"

#include <algorithm>
#include <cmath>

#include "openface/core/error.h"
#include "openface/face_analyser/alignment.h"

namespace openface {

namespace {

constexpr int samples = 84;            // per row of the aligned face
constexpr double scale = 0.7 * 0.75;   // samples per model millimetre: the crop of the action units' face
constexpr int cell = 3;                // samples per grey cell
constexpr int cells = samples / cell;  // 28
constexpr int block = 7;               // grey cells per histogram
constexpr int blocks = cells / block;  // 4
constexpr int directions = 8;          // per histogram
constexpr int colour_grid = 6;         // squared fields of mean colour ...
constexpr int colour_left = 9, colour_width = 11, colour_top = 6,
              colour_height = 12;      // ... and their samples
constexpr float colour_weight = 0.6f;  // against the gradients, by the distances within and between people
constexpr float dark = 16.0f;          // added to sums of two colours: ratios of dark pixels are noise
constexpr int gradient_length = blocks * blocks * directions;
static_assert(gradient_length + 2 * colour_grid * colour_grid == Appearance::face_length);

// Upright fields around the face's origin, in model millimetres: bodies don't turn with the head.
struct Field {
    float left, top, width, height;
    int columns, rows;
};
constexpr Field clothes_field{-70.0f, 125.0f, 140.0f, 60.0f, 4, 2};
constexpr Field hair_field{-40.0f, -130.0f, 80.0f, 50.0f, 2, 2};
static_assert(clothes_field.columns * clothes_field.rows == Appearance::clothes_cells);
static_assert(hair_field.columns * hair_field.rows == Appearance::hair_cells);
constexpr int field_samples = 6;           // per cell, across and down
constexpr float brightness_weight = 0.5f;  // against the ratios of colours

// Weight and bound of each part, and what stands for its distance where it isn't seen: between the distances
// within and between people.
constexpr float face_bound = 0.5f;
constexpr float clothes_weight = 1.5f, clothes_bound = 0.25f, clothes_unseen = 0.07f;
constexpr float hair_weight = 3.0f, hair_bound = 0.15f, hair_unseen = 0.05f;

float brightness_of(float blue, float green, float red) {
    return 0.114f * blue + 0.587f * green + 0.299f * red;
}

// The angle of (x, y) in eighths of a turn, 0 to 8, to 0.005.
float octants(float x, float y) {
    const float ax = std::fabs(x), ay = std::fabs(y);
    const float large = std::max(ax, ay);
    if (!(large > 0.0f)) return 0.0f;
    const float ratio = std::min(ax, ay) / large;
    float angle = ratio * (1.2732f - 0.2732f * ratio);
    if (ay > ax) angle = 2.0f - angle;
    if (x < 0.0f) angle = 4.0f - angle;
    if (y < 0.0f) angle = 8.0f - angle;
    return angle;
}

// The mean colours of a field's cells.
template <std::size_t N>
void describe_field(const ViewU8& frame, const GlobalParameters& global, const Field& field,
                    float face_brightness, std::array<Appearance::Cell, N>& out) {
    constexpr int count = field_samples * field_samples;
    const int green = frame.channels > 1 ? 1 : 0, red = frame.channels > 1 ? 2 : 0;
    const float step_x = field.width / float(field.columns * field_samples);
    const float step_y = field.height / float(field.rows * field_samples);
    for (int i = 0; i < int(N); ++i) {
        const int first_x = i % field.columns * field_samples;
        const int first_y = i / field.columns * field_samples;
        int sums[3] = {}, seen = 0;
        for (int y = first_y; y < first_y + field_samples; ++y)
            for (int x = first_x; x < first_x + field_samples; ++x) {
                const float at_x = global.tx + global.scale * (field.left + step_x * (float(x) + 0.5f));
                const float at_y = global.ty + global.scale * (field.top + step_y * (float(y) + 0.5f));
                if (!(at_x >= 0.0f && at_x < float(frame.width) && at_y >= 0.0f &&
                      at_y < float(frame.height)))
                    continue;
                const std::uint8_t* pixel = frame.row(int(at_y)) + int(at_x) * frame.channels;
                sums[0] += pixel[0];
                sums[1] += pixel[green];
                sums[2] += pixel[red];
                ++seen;
            }
        out[std::size_t(i)] = {};
        if (2 * seen < count) continue;
        const float b = float(sums[0]) / float(seen), g = float(sums[1]) / float(seen),
                    r = float(sums[2]) / float(seen);
        const float brightness = brightness_of(b, g, r);
        out[std::size_t(i)] = {
            {(r - g) / (r + g + dark), (b - g) / (b + g + dark),
             brightness_weight * (brightness - face_brightness) / (brightness + face_brightness + dark)},
            true};
    }
}

// Root mean square over what both show; `unseen` if that is less than a third.
template <std::size_t N>
float field_distance(const std::array<Appearance::Cell, N>& a, const std::array<Appearance::Cell, N>& b,
                     float unseen) {
    float sum = 0.0f;
    int seen = 0;
    for (std::size_t i = 0; i < N; ++i) {
        if (!a[i].seen || !b[i].seen) continue;
        for (std::size_t k = 0; k < 3; ++k) {
            const float difference = a[i].colour[k] - b[i].colour[k];
            sum += difference * difference;
        }
        ++seen;
    }
    return 3 * seen < int(N) ? unseen : std::sqrt(sum / float(3 * seen));
}

}  // namespace

float face_distance(const Appearance& a, const Appearance& b) {
    float sums[8] = {};
    for (int i = 0; i < Appearance::face_length; i += 8)
        for (int k = 0; k < 8; ++k) {
            const float difference = a.face[std::size_t(i + k)] - b.face[std::size_t(i + k)];
            sums[k] += difference * difference;
        }
    return std::sqrt(((sums[0] + sums[4]) + (sums[2] + sums[6])) +
                     ((sums[1] + sums[5]) + (sums[3] + sums[7])));
}

float distance(const Appearance& a, const Appearance& b) {
    return std::min(face_distance(a, b), face_bound) +
           clothes_weight * std::min(field_distance(a.clothes, b.clothes, clothes_unseen), clothes_bound) +
           hair_weight * std::min(field_distance(a.hair, b.hair, hair_unseen), hair_bound);
}

AppearanceDescriber::AppearanceDescriber(const Pdm& pdm) {
    if (pdm.landmark_count() != face_landmark_count)
        throw Error(Error::Code::input, "identities need a landmark model with 68 landmarks");
    for (int axis = 0; axis < 2; ++axis)
        mean_shape_.insert(mean_shape_.end(), pdm.mean(axis), pdm.mean(axis) + face_landmark_count);
    pixels_.resize(std::size_t(samples * samples * 3));
    grey_.resize(std::size_t(cells * cells));
}

bool AppearanceDescriber::describe(const ViewU8& frame, const float* landmarks,
                                   const GlobalParameters& global, Appearance& appearance) {
    if (!std::all_of(landmarks, landmarks + 2 * face_landmark_count,
                     [](float v) { return std::fabs(v) < 1e6f; }))
        return false;
    const auto [left, right] = std::minmax_element(landmarks, landmarks + face_landmark_count);
    if (!(*right - *left > 1.0f)) return false;
    const SamplingMap map =
        sampling_map(alignment_warp(landmarks, mean_shape_.data(), global.tx, global.ty, samples, scale));
    for (const double entry : map.i)
        if (!(std::fabs(entry) < 1e6)) return false;
    sample(frame, {map.i[0], map.i[1], map.i[2], map.i[3], map.i[4], map.i[5]});
    describe_gradients(appearance.face.data());
    describe_colours(appearance.face.data() + gradient_length);
    const float brightness = face_brightness();
    describe_field(frame, global, clothes_field, brightness, appearance.clothes);
    describe_field(frame, global, hair_field, brightness, appearance.hair);
    return true;
}

// The nearest pixel per sample, in 1/1024 px; black outside the frame.
void AppearanceDescriber::sample(const ViewU8& frame, const std::array<double, 6>& map) {
    const auto fixed = [](double v) { return std::int64_t(std::floor(v * 1024.0 + 0.5)); };
    std::array<std::int64_t, samples> column_x, column_y;
    for (int x = 0; x < samples; ++x) {
        column_x[std::size_t(x)] = fixed(map[0] * x);
        column_y[std::size_t(x)] = fixed(map[3] * x);
    }
    const int green = frame.channels > 1 ? 1 : 0, red = frame.channels > 1 ? 2 : 0;
    const auto outside = [&](std::int64_t x, std::int64_t y) {
        return std::uint64_t(x) >= std::uint64_t(frame.width) ||
               std::uint64_t(y) >= std::uint64_t(frame.height);
    };
    std::uint8_t* out = pixels_.data();
    for (int y = 0; y < samples; ++y) {
        const std::int64_t row_x = fixed(map[1] * y + map[2]) + 512, row_y = fixed(map[4] * y + map[5]) + 512;
        const auto take = [&](std::size_t x) {
            const std::uint8_t* pixel =
                frame.row(int((row_y + column_y[x]) >> 10)) + ((row_x + column_x[x]) >> 10) * frame.channels;
            out[0] = pixel[0];
            out[1] = pixel[green];
            out[2] = pixel[red];
        };
        const bool ends_inside =
            !outside((row_x + column_x.front()) >> 10, (row_y + column_y.front()) >> 10) &&
            !outside((row_x + column_x.back()) >> 10, (row_y + column_y.back()) >> 10);
        if (ends_inside) {  // and so is what lies between
            for (std::size_t x = 0; x < samples; ++x, out += 3) take(x);
            continue;
        }
        for (std::size_t x = 0; x < samples; ++x, out += 3) {
            if (outside((row_x + column_x[x]) >> 10, (row_y + column_y[x]) >> 10))
                out[0] = out[1] = out[2] = 0;
            else
                take(x);
        }
    }
}

void AppearanceDescriber::describe_gradients(float* out) {
    for (int row = 0; row < cells; ++row)
        for (int column = 0; column < cells; ++column) {
            int blue = 0, green = 0, red = 0;
            for (int y = 0; y < cell; ++y) {
                const std::uint8_t* p = pixels_.data() + ((row * cell + y) * samples + column * cell) * 3;
                for (int x = 0; x < cell; ++x, p += 3) {
                    blue += p[0];
                    green += p[1];
                    red += p[2];
                }
            }
            grey_[std::size_t(row * cells + column)] = float(29 * blue + 150 * green + 77 * red);
        }
    std::fill_n(out, gradient_length, 0.0f);
    float total = 0.0f;
    for (int row = 1; row < cells - 1; ++row)
        for (int column = 1; column < cells - 1; ++column) {
            const float* g = grey_.data() + row * cells + column;
            const float dx = g[1] - g[-1], dy = g[cells] - g[-cells];
            const float size = std::sqrt(dx * dx + dy * dy);
            const float angle = octants(dx, dy);
            const int lower = int(angle);
            const float part = angle - float(lower);
            float* histogram = out + ((row / block) * blocks + column / block) * directions;
            histogram[lower % directions] += size * (1.0f - part);
            histogram[(lower + 1) % directions] += size * part;
            total += size;
        }
    if (!(total > 0.0f)) return;
    // Square roots of shares: a unit vector whose distances are Hellinger's.
    for (int i = 0; i < gradient_length; ++i) out[i] = std::sqrt(out[i] / total);
}

void AppearanceDescriber::describe_colours(float* out) const {
    constexpr float count = colour_width * colour_height;
    for (int row = 0; row < colour_grid; ++row)
        for (int column = 0; column < colour_grid; ++column) {
            int blue = 0, green = 0, red = 0;
            for (int y = 0; y < colour_height; ++y) {
                const std::uint8_t* p = pixels_.data() + ((colour_top + row * colour_height + y) * samples +
                                                          colour_left + column * colour_width) *
                                                             3;
                for (int x = 0; x < colour_width; ++x, p += 3) {
                    blue += p[0];
                    green += p[1];
                    red += p[2];
                }
            }
            // (a - b) / (a + b) is half the logarithm of a / b for similar a and b.
            *out++ = colour_weight * float(red - green) / (float(red + green) + count * dark);
            *out++ = colour_weight * float(blue - green) / (float(blue + green) + count * dark);
        }
}

// Of the middle of the face; `grey_` has sums over cells in 256ths.
float AppearanceDescriber::face_brightness() const {
    constexpr int border = cells / 4;
    float sum = 0.0f;
    for (int row = border; row < cells - border; ++row)
        for (int column = border; column < cells - border; ++column)
            sum += grey_[std::size_t(row * cells + column)];
    constexpr float count = float((cells - 2 * border) * (cells - 2 * border) * cell * cell);
    return sum / (256.0f * count);
}

}  // namespace openface
