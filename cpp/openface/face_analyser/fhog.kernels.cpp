// The two passes of FHOG. Eight pixels at a time find their gradient, channel and orientation; their votes
// are added one by one in a fixed order; cells are then normalised with the orientations in the lanes.
#include "openface/face_analyser/fhog.h"

#include "openface/core/simd.h"

namespace openface::fhog::OPENFACE_ISA {

using namespace openface::OPENFACE_ISA;

namespace {

constexpr float direction_x[9] = {1.0f, 0.9397f, 0.7660f, 0.5f, 0.1736f, -0.1736f, -0.5f, -0.7660f, -0.9397f};
constexpr float direction_y[9] = {0.0f,    0.3420f, 0.6428f, 0.8660f, 0.9848f,
                                  0.9848f, 0.8660f, 0.6428f, 0.3420f};

struct Gradient {
    F8 x, y, squared;
};

OPENFACE_INLINE Gradient gradient(const std::uint8_t* pixel, int stride) {
    Gradient g;
    g.x = load_u8(pixel + 1) - load_u8(pixel - 1);
    g.y = load_u8(pixel + stride) - load_u8(pixel - stride);
    g.squared = g.x * g.x + g.y * g.y;  // whole numbers below 2^24: exact
    return g;
}

OPENFACE_INLINE void take(I8 mask, const Gradient& g, Gradient& into) {
    into.x = select(mask, g.x, into.x);
    into.y = select(mask, g.y, into.y);
    into.squared = select(mask, g.squared, into.squared);
}

// The longest of the three channels' gradients. On equality the later of red, green, blue wins, except in the
// last columns, where the earlier one does (section 5.1: it decides flat and grey areas).
OPENFACE_INLINE Gradient longest(const Gradient& red, const Gradient& green, const Gradient& blue,
                                 bool later) {
    Gradient best = red;
    take(later ? green.squared >= best.squared : green.squared > best.squared, green, best);
    take(later ? blue.squared >= best.squared : blue.squared > best.squared, blue, best);
    return best;
}

// The nearest of 18 directions: the nine of the table and their opposites, the first one if two are equally
// near.
OPENFACE_INLINE I8 orientation(const Gradient& g) {
    F8 best = zero();
    I8 bin = broadcast(0);
    for (int o = 0; o < 9; ++o) {
        const F8 d = g.x * broadcast(direction_x[o]) + g.y * broadcast(direction_y[o]);
        const I8 negative = d < zero();
        const F8 size = select(negative, -d, d);
        const I8 better = size > best;
        best = select(better, size, best);
        bin = select(better, (negative & 9) + o, bin);
    }
    return bin;
}

// Adds `weight` times the strip to the cells of one row.
OPENFACE_INLINE void add_strip(const float* strip, float weight, float* cells_row) {
    const F8 w = broadcast(weight);
    for (int i = 0; i < cells * bins; i += 8) store(cells_row + i, load(cells_row + i) + load(strip + i) * w);
}

}  // namespace

void accumulate(const std::uint8_t* blue, const std::uint8_t* green, const std::uint8_t* red, int stride,
                float* strips, float* histograms) {
    constexpr int last = image_size - 2;  // rows and columns 1 ... 110 have both neighbours
    // Whole vectors of the pixels that have both neighbours; W_v = 111 in the words of section 5.1.
    constexpr int earlier_from = 1 + 8 * ((image_size - 2) / 8);
    static_assert(earlier_from == 105);
    for (int i = 0; i < cells * cells * bins; i += 8) store(histograms + i, zero());
    for (int y = 1; y <= last; ++y) {
        // Votes of this pixel row, shared between columns of cells only; the strip has one cell more at
        // either end.
        for (int i = 0; i < (cells + 2) * bins; i += 8) store(strips + i, zero());
        const std::ptrdiff_t row = std::ptrdiff_t(y) * stride;
        for (int x = 1; x <= last; x += 8) {
            const Gradient r = gradient(red + row + x, stride);
            const Gradient g = gradient(green + row + x, stride);
            const Gradient b = gradient(blue + row + x, stride);
            const Gradient best = longest(r, g, b, x < earlier_from);
            float length_of[8];
            std::int32_t bin_of[8];
            store(length_of, sqrt(best.squared));
            store(bin_of, orientation(best));
            const int count = last + 1 - x < 8 ? last + 1 - x : 8;
            for (int lane = 0; lane < count; ++lane) {
                // Cell column and sixteenths of the way to the next one: (x + 0.5) / 8 - 0.5 = (2 x - 7)
                // / 16.
                const int position = 2 * (x + lane) - 7 + 16;
                const float fraction = float(position & 15) * 0.0625f;
                float* cell = strips + (position >> 4) * bins + bin_of[lane];
                cell[0] += (1.0f - fraction) * length_of[lane];
                cell[bins] += fraction * length_of[lane];
            }
        }
        const int position = 2 * y - 7;
        const int cell_row = position >> 4;  // rounds down, -1 for the first rows
        const float fraction = float(position & 15) * 0.0625f;
        if (cell_row >= 0) add_strip(strips + bins, 1.0f - fraction, histograms + cell_row * cells * bins);
        if (cell_row + 1 < cells)
            add_strip(strips + bins, fraction, histograms + (cell_row + 1) * cells * bins);
    }
}

void normalise(const float* histograms, float* norms, float* descriptor) {
    const auto cell = [&](int r, int c) { return histograms + (r * cells + c) * bins; };
    // Energy of each cell, over the nine orientations without their sign.
    float energy[cells * cells];
    for (int i = 0; i < cells * cells; ++i) {
        const float* h = histograms + i * bins;
        const F8 both = load(h) + load(h + 9);
        const float last = h[8] + h[17];
        energy[i] = sum(both * both) + last * last;
    }
    for (int r = 0; r + 1 < cells; ++r)
        for (int c = 0; c + 1 < cells; ++c) {
            const float* e = energy + r * cells + c;
            norms[r * cells + c] = __builtin_sqrtf(e[0] + e[1] + e[cells] + e[cells + 1] + 0.0001f);
        }
    for (int r = 1; r + 1 < cells; ++r)
        for (int c = 1; c + 1 < cells; ++c) {
            const float* h = cell(r, c);
            const float* norm = norms + r * cells + c;
            const float block[4] = {norm[0], norm[-cells], norm[-1], norm[-cells - 1]};
            const F8 h0 = load(h), h1 = load(h + 8), h2 = load(h + 16);
            const F8 unsigned0 = h0 + load(h + 9);
            const float unsigned8 = h[8] + h[17];
            F8 sensitive0 = zero(), sensitive1 = zero(), sensitive2 = zero(), insensitive0 = zero();
            float insensitive8 = 0.0f;
            float texture[4];
            for (int j = 0; j < 4; ++j) {
                const float limit = 0.2f * block[j];
                const float factor = 0.1f / limit;
                const F8 l = broadcast(limit), f = broadcast(factor);
                const F8 t0 = min(h0, l) * f, t1 = min(h1, l) * f, t2 = min(h2, l) * f;
                sensitive0 = sensitive0 + t0;
                sensitive1 = sensitive1 + t1;
                sensitive2 = sensitive2 + t2;
                insensitive0 = insensitive0 + min(unsigned0, l) * f;
                insensitive8 += (unsigned8 < limit ? unsigned8 : limit) * factor;
                texture[j] = 0.4714f * sum((t0 + t1) + t2);
            }
            // Each store may reach over the values that follow, which the next ones overwrite.
            float* out = descriptor + ((r - 1) * rows + (c - 1)) * channels;
            store(out, sensitive0);
            store(out + 8, sensitive1);
            store(out + 16, sensitive2);
            store(out + 18, insensitive0);
            out[26] = insensitive8;
            for (int j = 0; j < 4; ++j) out[27 + j] = texture[j];
        }
}

}  // namespace openface::fhog::OPENFACE_ISA
