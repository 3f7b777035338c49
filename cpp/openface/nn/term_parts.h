// How OpenBLAS 0.3.21 cuts the terms of a sum when it multiplies float matrices on Haswell: a sum is built
// part by part, every part from zero on, and the parts' sums are added up.
#pragma once

namespace openface {

// Size of the next part when `left` terms are left.
constexpr int next_part(int left) {
    constexpr int most = 320;
    if (left >= 2 * most) return most;
    if (left <= most) return left;
    return (left / 2 + 7) / 8 * 8;
}

}  // namespace openface
