#include "openface/face_detector/candidates.h"

#include <algorithm>
#include <cmath>

namespace openface {

namespace {

// Halves to even.
Box rounded(const Box& box) {
    return {std::nearbyint(box.x), std::nearbyint(box.y), std::nearbyint(box.width),
            std::nearbyint(box.height)};
}

float overlap_of(const Box& a, const Box& b, Overlap overlap) {
    const float width = std::min(a.x + a.width, b.x + b.width) - std::max(a.x, b.x);
    const float height = std::min(a.y + a.height, b.y + b.height) - std::max(a.y, b.y);
    if (!(width > 0.0f) || !(height > 0.0f)) return 0.0f;
    const float intersection = width * height;
    const float area_a = a.width * a.height;
    const float area_b = b.width * b.height;
    return intersection /
           (overlap == Overlap::of_union ? area_a + area_b - intersection : std::min(area_a, area_b));
}

}  // namespace

void suppress(const std::vector<Candidate>& candidates, float limit, Overlap overlap,
              SuppressionScratch& scratch, std::vector<int>& kept) {
    kept.clear();
    scratch.rounded.clear();
    scratch.waiting.clear();
    for (const Candidate& candidate : candidates) {
        scratch.waiting.push_back(int(scratch.rounded.size()));
        scratch.rounded.push_back(rounded(candidate.box));
    }
    std::vector<int>& waiting = scratch.waiting;
    const auto score = [&](int index) { return candidates[std::size_t(index)].score; };
    std::sort(waiting.begin(), waiting.end(),
              [&](int a, int b) { return score(a) != score(b) ? score(a) > score(b) : a > b; });
    while (!waiting.empty()) {
        const int best = waiting.front();
        kept.push_back(best);
        const Box& box = scratch.rounded[std::size_t(best)];
        std::size_t left = 0;
        for (std::size_t i = 1; i < waiting.size(); ++i)
            if (!(overlap_of(box, scratch.rounded[std::size_t(waiting[i])], overlap) > limit))
                waiting[left++] = waiting[i];
        waiting.resize(left);
    }
}

Box corrected(const Candidate& candidate, float extra) {
    Box box = rounded(candidate.box);
    box.width += extra;
    box.height += extra;
    const auto& c = candidate.offsets;
    // Rounded as the reference rounds them.
    const float left = std::fma(c[0], box.width, box.x);
    const float top = std::fma(c[1], box.height, box.y);
    const float right = std::fma(c[2], box.width, box.x + box.width);
    const float bottom = std::fma(c[3], box.height, box.y + box.height);
    return {left, top, right - left, bottom - top};
}

Box squared(const Box& box) {
    const float side = std::max(box.width, box.height);
    const float left = float(double(box.x) + 0.5 * double(box.width - side));
    const float top = float(double(box.y) + 0.5 * double(box.height - side));
    return {std::trunc(left), std::trunc(top), std::trunc(side), std::trunc(side)};
}

Box to_landmark_extent(const Box& box) {
    return {float(double(box.x) - 0.0075 * double(box.width)),
            float(double(box.y) + 0.2459 * double(box.height)), float(1.0323 * double(box.width)),
            float(0.7751 * double(box.height))};
}

}  // namespace openface
