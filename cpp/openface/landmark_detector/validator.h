// Grey image, head rotation and 68 landmarks -> the confidence that the landmarks sit on a face
// (validation.md).
//
// The face is warped to a small reference frame that belongs to its direction of view, normalised, and given
// to a network that estimates how far off the landmarks are.
#pragma once

#include <filesystem>
#include <memory>
#include <vector>

#include "openface/image/grey.h"
#include "openface/nn/planar_network.h"
#include "openface/shape/parameters.h"

namespace openface {

// Buffers of one validating thread. After a call they hold what was computed on the way.
struct ValidatorScratch {
    int view = 0;
    int region[4] = {0, 0, 0, 0};       // x0, y0, x1, y1 of the sampled part of the image, half open
    AlignedVector<float> warped;        // the view's pixels, column by column, padded to 8
    AlignedVector<float> normalised;    // the same pixels as the network sees them
    const float* outputs = nullptr;     // the network's scores; null if the region was too small
    AlignedVector<float> landmarks[2];  // x and y in the region
    AlignedVector<float> maps[2][3];
    AlignedVector<float> input;
    PlanarScratch network;
};

class Validator {
  public:
    // Only validators of type 3 (validator_cnn.txt, validator_cnn_68.txt) for shapes of `landmark_count`
    // points.
    static std::shared_ptr<const Validator> load(const std::filesystem::path& path, int landmark_count);

    // 0 (bad) to 1 (good). `landmarks` are all x, then all y, in image pixels.
    // Landmarks that are not finite numbers have confidence 0.
    float confidence(const GlobalParameters& global, GreyPicture& grey, const float* landmarks,
                     ValidatorScratch& scratch) const;

    int outputs(int view) const { return views_[std::size_t(view)].network.outputs(); }
    int pixel_count(int view) const { return views_[std::size_t(view)].pixel_count; }
    // Height and width of a view's reference frame, and for each of its pixels row * width + column.
    int height(int view) const { return views_[std::size_t(view)].height; }
    int width(int view) const { return views_[std::size_t(view)].width; }
    std::vector<int> pixel_places(int view) const;

  private:
    struct View {
        double orientation[3] = {0.0, 0.0, 0.0};  // radians
        int height = 0;
        int width = 0;
        int pixel_count = 0;
        // Per pixel of the mask, column by column, padded to 8.
        AlignedVector<float> x;
        AlignedVector<float> y;
        AlignedVector<std::int32_t> triangle;
        AlignedVector<std::int32_t> place;  // in the network's input map
        AlignedVector<float> mean;
        AlignedVector<float> deviation;
        // Per triangle, padded to 8.
        AlignedVector<std::int32_t> vertices[3];
        AlignedVector<float> alpha[3];
        AlignedVector<float> beta[3];
        PlanarNetwork network;
    };
    static View read_view(BinaryReader& reader, int landmark_count);
    static void read_pixels(View& view, BinaryReader& reader, float min_x, float min_y, int triangles);
    static void read_triangles(View& view, BinaryReader& reader, const Matrix<std::int32_t>& vertices);

    int nearest_view(const GlobalParameters& global) const;
    bool find_region(const GreyPicture& grey, const float* landmarks, ValidatorScratch& scratch) const;
    void warp(const View& view, const ViewU8& grey, ValidatorScratch& scratch) const;
    void normalise(const View& view, ValidatorScratch& scratch) const;

    int landmark_count_ = 0;
    std::vector<View> views_;
};

}  // namespace openface
