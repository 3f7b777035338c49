#include "openface/landmark_detector/validator.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "openface/core/error.h"
#include "openface/core/math.h"
#include "openface/landmark_detector/validator_warp.h"

namespace openface {

namespace {

constexpr int supported_type = 3;
constexpr int max_views = 64;
constexpr int max_triangles = 10000;
constexpr int max_side = 1024;
constexpr float region_margin = 3.0f;

void make_room(AlignedVector<float>& buffer, std::size_t floats) {
    if (buffer.size() < floats) buffer.resize(floats);
}

void read_orientation(BinaryReader& reader, double* orientation) {
    const Matrix<double> degrees = reader.read_double_matrix("view orientation");
    if (degrees.size() != 3) reader.fail("view orientation", "3 angles expected");
    for (std::size_t i = 0; i < 3; ++i) {
        if (std::fabs(degrees.data[i]) > 360.0)
            reader.fail("view orientation", "an angle beyond 360 degrees");
        orientation[i] = degrees.data[i] * math::pi / 180.0;
    }
}

AlignedVector<float> read_pixel_vector(BinaryReader& reader, const char* field) {
    const Matrix<float> matrix = reader.read_float_matrix(field);
    if (matrix.rows != 1 && matrix.cols != 1) reader.fail(field, "a vector expected, one row or one column");
    return matrix.data;
}

// Truncation toward zero, for any finite float.
int truncated(float v) {
    return int(std::clamp(v, -1e9f, 1e9f));
}

}  // namespace

std::shared_ptr<const Validator> Validator::load(const std::filesystem::path& path, int landmark_count) {
    BinaryReader reader(path);
    const int type = reader.read_int("validator type");
    if (type != supported_type)
        reader.fail("validator type", "type " + std::to_string(type) + " is not supported, only type 3 is");
    const int views = reader.read_count("number of views", 1, max_views);
    std::vector<double> orientations(std::size_t(views) * 3);
    for (int i = 0; i < views; ++i) read_orientation(reader, orientations.data() + 3 * i);
    const auto validator = std::make_shared<Validator>();
    validator->landmark_count_ = landmark_count;
    for (int i = 0; i < views; ++i) {
        validator->views_.push_back(read_view(reader, landmark_count));
        std::copy_n(orientations.data() + 3 * i, 3, validator->views_.back().orientation);
    }
    reader.expect_end();
    return validator;
}

Validator::View Validator::read_view(BinaryReader& reader, int landmark_count) {
    View view;
    view.mean = read_pixel_vector(reader, "mean image");
    view.deviation = read_pixel_vector(reader, "standard deviation image");
    for (const float deviation : view.deviation)
        if (!(deviation > 0.0f)) reader.fail("standard deviation image", "a value that is not positive");
    const std::vector<Layer> layers = read_layers(reader, NetworkFormat::validator);
    view.pixel_count = reader.read_count("number of face pixels", 1, max_side * max_side);
    if (view.mean.size() != std::size_t(view.pixel_count) || view.deviation.size() != view.mean.size())
        reader.fail("number of face pixels", std::to_string(view.pixel_count) + ", but the mean has " +
                                                 std::to_string(view.mean.size()) + " and the deviation " +
                                                 std::to_string(view.deviation.size()) + " elements");
    const float min_x = float(reader.read_double("x_min"));
    const float min_y = float(reader.read_double("y_min"));
    if (!std::isfinite(min_x) || !std::isfinite(min_y)) reader.fail("x_min, y_min", "too large");
    const Matrix<double> shape = reader.read_double_matrix("reference shape");
    if (shape.size() != 2 * std::size_t(landmark_count))
        reader.fail("reference shape", std::to_string(shape.size() / 2) + " landmarks, but the model has " +
                                           std::to_string(landmark_count));
    const Matrix<std::int32_t> vertices = reader.read_int_matrix("triangulation");
    if (vertices.cols != 3 || vertices.rows < 1 || vertices.rows > max_triangles)
        reader.fail("triangulation", "1 to 10000 rows of 3 expected");
    for (const std::int32_t vertex : vertices.data)
        if (vertex < 0 || vertex >= landmark_count)
            reader.fail("triangulation", "a landmark that doesn't exist");
    read_pixels(view, reader, min_x, min_y, vertices.rows);
    read_triangles(view, reader, vertices);
    view.network = PlanarNetwork(layers, view.height, view.width, reader);
    return view;
}

// Triangle index map and mask -> the list of the mask's pixels, column by column.
void Validator::read_pixels(View& view, BinaryReader& reader, float min_x, float min_y, int triangles) {
    const Matrix<std::int32_t> index = reader.read_int_matrix("triangle index map");
    const Matrix<std::int32_t> mask = reader.read_int_matrix("pixel mask");
    if (index.rows < 1 || index.cols < 1 || index.rows > max_side || index.cols > max_side)
        reader.fail("triangle index map", "sides must be 1 to " + std::to_string(max_side));
    if (mask.rows != index.rows || mask.cols != index.cols)
        reader.fail("pixel mask", "differs in size from the triangle index map");
    view.height = mask.rows;
    view.width = mask.cols;
    for (int column = 0; column < mask.cols; ++column)
        for (int row = 0; row < mask.rows; ++row) {
            const std::int32_t triangle = index(row, column);
            if (triangle < -1 || triangle >= triangles)
                reader.fail("triangle index map", "a triangle that doesn't exist");
            if (mask(row, column) == 0) continue;
            if (triangle < 0) reader.fail("pixel mask", "a pixel of the face that lies in no triangle");
            view.x.push_back(float(column) + min_x);
            view.y.push_back(float(row) + min_y);
            view.triangle.push_back(triangle);
            view.place.push_back(row * padded(mask.cols) + column);
        }
    if (view.x.size() != std::size_t(view.pixel_count))
        reader.fail("pixel mask", std::to_string(view.x.size()) + " pixels set, but there are said to be " +
                                      std::to_string(view.pixel_count));
    const std::size_t lanes = std::size_t(padded(view.pixel_count));
    view.x.resize(lanes);
    view.y.resize(lanes);
    view.triangle.resize(lanes);
    view.mean.resize(lanes);
    view.deviation.resize(lanes, 1.0f);
}

void Validator::read_triangles(View& view, BinaryReader& reader, const Matrix<std::int32_t>& vertices) {
    const Matrix<float> alpha = reader.read_float_matrix("alpha coefficients");
    const Matrix<float> beta = reader.read_float_matrix("beta coefficients");
    for (const Matrix<float>* table : {&alpha, &beta})
        if (table->rows != vertices.rows || table->cols != 3)
            reader.fail("alpha and beta coefficients", "one row of 3 per triangle expected");
    const std::size_t lanes = std::size_t(padded(vertices.rows));
    for (int p = 0; p < 3; ++p) {
        const std::size_t part = std::size_t(p);
        view.vertices[part].resize(lanes);
        view.alpha[part].resize(lanes);
        view.beta[part].resize(lanes);
        for (int t = 0; t < vertices.rows; ++t) {
            view.vertices[part][std::size_t(t)] = vertices(t, p);
            view.alpha[part][std::size_t(t)] = alpha(t, p);
            view.beta[part][std::size_t(t)] = beta(t, p);
        }
    }
}

std::vector<int> Validator::pixel_places(int view) const {
    const View& v = views_[std::size_t(view)];
    std::vector<int> places;
    for (const std::int32_t place : v.place)
        places.push_back(place / padded(v.width) * v.width + place % padded(v.width));
    return places;
}

int Validator::nearest_view(const GlobalParameters& global) const {
    int nearest = 0;
    double least = std::numeric_limits<double>::infinity();
    for (std::size_t i = 0; i < views_.size(); ++i) {
        const double* o = views_[i].orientation;
        const double dx = double(global.rx) - o[0], dy = double(global.ry) - o[1],
                     dz = double(global.rz) - o[2];
        const double distance = std::sqrt(dx * dx + dy * dy + dz * dz);
        if (distance < least) {
            least = distance;
            nearest = int(i);
        }
    }
    return nearest;
}

// Section 4: the landmarks' surroundings within the image, and the landmarks in its coordinates.
bool Validator::find_region(const GreyPicture& grey, const float* landmarks,
                            ValidatorScratch& scratch) const {
    const int size[2] = {grey.width(), grey.height()};
    for (int c = 0; c < 2; ++c) {
        const float* values = landmarks + c * landmark_count_;
        for (int i = 0; i < landmark_count_; ++i)
            if (!std::isfinite(values[i])) return false;
        const auto [least, most] = std::minmax_element(values, values + landmark_count_);
        const int first = std::max(truncated(*least - region_margin), 0);
        const int last = std::min(truncated(*most + region_margin), size[c] - 1);
        scratch.region[c] = first;
        scratch.region[c + 2] = last;
        if (last - first <= 1) return false;
        make_room(scratch.landmarks[c], std::size_t(landmark_count_));
        for (int i = 0; i < landmark_count_; ++i)
            scratch.landmarks[c][std::size_t(i)] = values[i] - float(first);
    }
    return true;
}

void Validator::warp(const View& view, const ViewU8& grey, ValidatorScratch& scratch) const {
    const int triangles = int(view.alpha[0].size());
    const int pixels = int(view.x.size());
    WarpMaps maps{};
    for (int c = 0; c < 2; ++c)
        for (int p = 0; p < 3; ++p) {
            make_room(scratch.maps[c][p], std::size_t(triangles));
            maps.maps[c][p] = scratch.maps[c][p].data();
        }
    make_room(scratch.warped, std::size_t(pixels));
    WarpTriangles table{};
    for (int p = 0; p < 3; ++p) {
        table.vertices[p] = view.vertices[p].data();
        table.alpha[p] = view.alpha[p].data();
        table.beta[p] = view.beta[p].data();
    }
    table.count = triangles;
    triangle_maps(table, scratch.landmarks[0].data(), scratch.landmarks[1].data(), maps);

    // The image's last row and column are never inside the region, so reading a little behind it is safe.
    const int* r = scratch.region;
    const WarpRegion region{grey.row(r[1]) + r[0], grey.stride, r[2] - r[0], r[3] - r[1]};
    if (std::int64_t(region.stride) * region.height > std::numeric_limits<std::int32_t>::max())
        throw Error(Error::Code::input, "the image is too large for validation");
    const WarpPixels list{view.x.data(), view.y.data(), view.triangle.data(), pixels};
    warp_pixels(region, list, maps, scratch.warped.data());
    std::fill(scratch.warped.begin() + view.pixel_count, scratch.warped.begin() + pixels, 0.0f);
}

void Validator::normalise(const View& view, ValidatorScratch& scratch) const {
    const int pixels = int(view.x.size());
    double total = 0.0, squares = 0.0;
    sum_values(scratch.warped.data(), pixels, total, squares);
    const double mean = total / view.pixel_count;
    double deviation = std::sqrt(std::max(squares / view.pixel_count - mean * mean, 0.0));
    if (deviation == 0.0) deviation = 1.0;
    make_room(scratch.normalised, std::size_t(pixels));
    normalise_values(scratch.warped.data(), float(mean), float(1.0 / deviation), view.mean.data(),
                     view.deviation.data(), scratch.normalised.data(), pixels);

    const std::size_t map_size = std::size_t(padded(view.width)) * std::size_t(view.height);
    make_room(scratch.input, map_size + planar_slack);
    std::fill(scratch.input.begin(), scratch.input.begin() + std::ptrdiff_t(map_size), 0.0f);
    for (std::size_t i = 0; i < std::size_t(view.pixel_count); ++i)
        scratch.input[std::size_t(view.place[i])] = scratch.normalised[i];
}

float Validator::confidence(const GlobalParameters& global, GreyPicture& grey, const float* landmarks,
                            ValidatorScratch& scratch) const {
    scratch.outputs = nullptr;
    scratch.view = nearest_view(global);
    if (!find_region(grey, landmarks, scratch)) return 0.0f;
    const View& view = views_[std::size_t(scratch.view)];
    const int* r = scratch.region;
    warp(view, grey.view({float(r[0]), float(r[1]), float(r[2]), float(r[3])}), scratch);
    normalise(view, scratch);
    scratch.outputs = view.network.run(scratch.input.data(), scratch.network);
    const int bins = view.network.outputs();
    const int best = int(std::max_element(scratch.outputs, scratch.outputs + bins) - scratch.outputs);
    const double error = -1.0 + 1.0 / bins + best * (2.0 / bins);
    return float(0.5 * (1.0 - error));
}

}  // namespace openface
