// Colour image -> boxes around faces with confidences: multi-task cascaded convolutional networks (Zhang et
// al. 2016), as OpenFace runs them (face-detection.md, section 2).
#pragma once

#include <array>
#include <filesystem>
#include <memory>
#include <vector>

#include "openface/core/image.h"
#include "openface/face_detector/candidates.h"
#include "openface/image/bilinear_resize.h"
#include "openface/nn/interleaved_network.h"

namespace openface {

struct Detection {
    Box box;  // around the 68 landmarks: brows to chin, jaw outline to jaw outline
    float confidence = 0.0f;
};

// Everything detection computes on the way, for tests (names as in section 2). Filled only when asked for.
struct MtcnnTrace {
    struct Level {
        double scale = 0.0;
        int height = 0;
        int width = 0;
        std::vector<float> outputs;  // height x width x 6
        std::vector<Candidate> proposals;
        std::vector<int> kept;
    };
    struct Stage {
        std::vector<Box> squares;      // what goes into the network
        std::vector<float> outputs;    // one row per square
        std::vector<Candidate> above;  // those above the threshold; for the proposals, all levels together
        std::vector<int> kept;
        std::vector<Box> corrected_boxes;
    };
    std::vector<Level> levels;
    Stage proposals;
    Stage refinement;
    Stage output;
};

// Buffers of one detecting thread.
struct MtcnnScratch {
    ImageU8 colour;
    BilinearScratch resize;
    NetworkScratch network;
    SuppressionScratch suppression;
    AlignedVector<float> input;
    AlignedVector<float> vectors;
    std::vector<Candidate> level;
    std::vector<Candidate> candidates;
    std::vector<Candidate> above;
    std::vector<int> kept;
};

class MtcnnDetector {
  public:
    // Reads MTCNN_detector.txt and the three networks that it names.
    static std::shared_ptr<const MtcnnDetector> load(const std::filesystem::path& listing);

    // Faces by descending confidence. Images of 1 (grey), 3 (B, G, R) or 4 (alpha ignored) channels; below 60
    // pixels of width or height there are none.
    std::vector<Detection> detect(const ViewU8& image, MtcnnScratch& scratch,
                                  MtcnnTrace* trace = nullptr) const;

    // The scales of the image pyramid (section 2.1).
    static std::vector<double> pyramid_scales(int width, int height);

  private:
    void propose(const ViewU8& bgr, MtcnnScratch& scratch, MtcnnTrace* trace) const;
    void propose_level(const ViewU8& bgr, double scale, MtcnnScratch& scratch, MtcnnTrace* trace) const;
    void classify(const InterleavedNetwork& network, int side, const ViewU8& bgr, MtcnnScratch& scratch,
                  MtcnnTrace::Stage* trace) const;

    InterleavedNetwork proposal_;
    InterleavedNetwork refinement_;
    InterleavedNetwork output_;
};

}  // namespace openface
