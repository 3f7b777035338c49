// Patch experts: where, around its present position, does each landmark fit best?
//
// A bank of experts is organised as scale -> view -> landmark (landmark-fitting.md, section 4). Its input is
// a grey image, the landmarks of the present shape and the similarity between image and expert frame; its
// output one response map per visible landmark. CCNF, SVR and CEN experts each implement this interface.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "openface/core/aligned.h"
#include "openface/core/image.h"
#include "openface/shape/parameters.h"

namespace openface {

// The window x window response maps of all landmarks. A map's rows (image y in the expert frame) are `stride`
// floats apart: `window` values, then zeros up to a whole number of vector lanes. Maps of invisible landmarks
// are unspecified.
struct ResponseMaps {
    int window = 0;
    int stride = 0;
    int map_size = 0;
    AlignedVector<float> values;

    // Keeps memory that is large enough. Values are unspecified afterwards.
    void reshape(int landmark_count, int window_) {
        window = window_;
        stride = padded(window_);
        map_size = stride * window_;
        if (values.size() < std::size_t(landmark_count) * std::size_t(map_size))
            values.resize(std::size_t(landmark_count) * std::size_t(map_size));
    }
    float* map(int landmark) { return values.data() + std::size_t(landmark) * std::size_t(map_size); }
    const float* map(int landmark) const {
        return values.data() + std::size_t(landmark) * std::size_t(map_size);
    }
};

// What the responses of one scale are asked for.
struct ResponseQuery {
    ViewU8 grey;
    const float* landmarks = nullptr;  // x of all, then y of all (2n), image pixels
    float a = 1.0f;                    // reference -> image similarity: [[a, -b], [b, a]] (section 4.2)
    float b = 0.0f;
    int scale = 0;
    int view = 0;
    int window = 0;  // odd
};

// Working memory of the experts; one per tracker, so that evaluation allocates nothing.
struct PatchScratch {
    AlignedVector<float> areas;
    AlignedVector<float> patches;
    AlignedVector<float> layers;
    AlignedVector<float> maps;
    AlignedVector<double> sums;
};

class PatchExperts {
  public:
    virtual ~PatchExperts() = default;

    // What all kinds have in common, filled by the loaders.
    struct View {
        std::array<double, 3> centre{};     // Euler angles, radians
        std::vector<std::uint8_t> visible;  // n, 0 or 1
        std::vector<float> confidence;      // n
        int visible_count = 0;
    };
    struct Scale {
        double scaling = 0.0;  // pixels per model millimetre of the expert frame
        int support = 0;       // of the largest expert, pixels of the expert frame
        std::vector<View> views;
    };

    const std::vector<Scale>& scales() const { return scales_; }
    int landmark_count() const { return landmark_count_; }
    // The view whose centre is nearest to the head rotation (section 4.1).
    int nearest_view(int scale, const GlobalParameters& global) const;

    // Fills `maps` for the landmarks that the query's view shows. Thread-safe; all state is in the scratch.
    virtual void respond(const ResponseQuery& query, ResponseMaps& maps, PatchScratch& scratch) const = 0;
    // Does what the first response of this scale, view and window would have to do before all others.
    virtual void prepare(int /*scale*/, int /*view*/, int /*window*/) const {}
    // "CCNF", "SVR" or "CEN".
    virtual const char* kind() const = 0;

  protected:
    std::vector<Scale> scales_;
    int landmark_count_ = 0;
};

}  // namespace openface
