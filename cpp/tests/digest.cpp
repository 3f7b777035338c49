#include "digest.h"

#include <algorithm>
#include <cstring>
#include <span>

#include "openface/core/math.h"
#include "openface/core/probe.h"
#include "openface/face_analyser/fhog.h"
#include "openface/face_analyser/predictor_kernels.h"
#include "openface/image/area_warp.h"
#include "openface/image/bilinear_resize.h"
#include "openface/image/grey.h"
#include "openface/landmark_detector/shape_fit_kernels.h"
#include "openface/patch_experts/dense_layer.h"
#include "openface/pipeline/face_tracking.h"
#include "openface/pipeline/observer.h"
#include "openface/shape/pdm.h"

namespace openface::tests {

namespace {

// FNV-1a over bytes.
class Hash {
  public:
    void add(const void* data, std::size_t size) {
        const auto* bytes = static_cast<const unsigned char*>(data);
        for (std::size_t i = 0; i < size; ++i) value_ = (value_ ^ bytes[i]) * 0x100000001b3ULL;
    }
    template <class T>
    void add(std::span<const T> values) {
        add(values.data(), values.size_bytes());
    }
    template <class T, class Allocator>
    void add(const std::vector<T, Allocator>& values) {
        add(std::span<const T>(values));
    }
    template <class T>
    void add(T value) {
        add(&value, sizeof value);
    }
    std::uint64_t value() const { return value_; }

  private:
    std::uint64_t value_ = 0xcbf29ce484222325ULL;
};

// Knuth's 64-bit linear congruential generator; the upper bits of its state become numbers without rounding.
class Numbers {
  public:
    std::uint32_t integer() {
        state_ = state_ * 6364136223846793005ULL + 1442695040888963407ULL;
        return std::uint32_t(state_ >> 32);
    }
    // Multiples of 2^-24 in [low, low + 1) * scale.
    float uniform(float low, float scale) { return (low + float(integer() >> 8) * 0x1p-24f) * scale; }
    std::uint8_t byte() { return std::uint8_t(integer() >> 24); }
    AlignedVector<float> floats(int count, float low, float scale) {
        AlignedVector<float> values(static_cast<std::size_t>(count));
        for (float& value : values) value = uniform(low, scale);
        return values;
    }
    ImageU8 image(int width, int height, int channels) {
        ImageU8 result(width, height, channels);
        std::generate_n(result.data(), std::ptrdiff_t(height) * result.stride(), [this] { return byte(); });
        return result;
    }

  private:
    std::uint64_t state_ = 20;
};

void add_image(Hash& hash, const ViewU8& image) {
    hash.add(image.data, std::size_t(image.height) * std::size_t(image.stride));
}

// Products and sums of all sizes, from those that cancel to those where one part vanishes.
void digest_fma(Numbers& numbers, Hash& hash) {
    constexpr int count = 4096;
    AlignedVector<float> a(count), b(count), c(count), out(count);
    for (std::size_t i = 0; i < count; ++i) {
        a[i] = numbers.uniform(-0.5f, 4.0f);
        b[i] = numbers.uniform(-0.5f, 4.0f);
        const float near = -a[i] * b[i];
        const float scales[] = {1.0f, 0x1p-24f, 0x1p+24f, 0x1p-60f};
        c[i] = i % 2 == 0 ? near : near + numbers.uniform(-0.5f, 1.0f) * scales[i / 2 % 4];
    }
    probe_fma(a.data(), b.data(), c.data(), out.data(), count);
    hash.add(out);
}

void digest_exp(Numbers& numbers, Hash& hash) {
    const AlignedVector<float> x = numbers.floats(4096, -0.5f, 200.0f);
    AlignedVector<float> out(x.size());
    probe_exp(x.data(), out.data(), int(x.size()));
    hash.add(out);
}

void digest_math(Numbers& numbers, Hash& hash) {
    for (int i = 0; i < 2000; ++i) {
        const double x = double(numbers.uniform(-0.5f, 20.0f)), y = double(numbers.uniform(-0.5f, 2.0f));
        for (const double value : {math::sin(x), math::cos(x), math::atan2(y, x), math::asin(y), math::exp(x),
                                   math::log(x * x), math::acos(y)})
            hash.add(value == value ? value : 0.0);
    }
}

void digest_grey(Numbers& numbers, Hash& hash) {
    for (const int channels : {1, 3, 4}) {
        const ImageU8 colour = numbers.image(61, 17, channels);
        GreyPicture grey;
        grey.begin(colour.view());
        add_image(hash, grey.view(everything));
    }
}

void digest_resize(Numbers& numbers, Hash& hash) {
    const ImageU8 colour = numbers.image(97, 53, 3);
    BilinearScratch scratch;
    AlignedVector<float> out(31 * 29 * 3 + 8);
    resize_bilinear(colour.view(), {-7, 80}, {5, 60}, 31, 29, 127.5f, 0.0078125f, scratch, out.data());
    hash.add(std::span<const float>(out.data(), 31 * 29 * 3));
}

void digest_area(Numbers& numbers, Hash& hash) {
    const ImageU8 grey = numbers.image(90, 70, 1);
    constexpr int size = 21, stride = 24;
    AlignedVector<float> area(size * stride);
    for (int i = 0; i < 20; ++i) {
        const float x = numbers.uniform(-0.1f, 110.0f), y = numbers.uniform(-0.1f, 90.0f);
        const float a = numbers.uniform(0.3f, 1.5f), b = numbers.uniform(-0.5f, 1.0f);
        const AreaMap map = area_map(a, b, x, y, size);
        sample_area(grey.view(), map, size, area.data(), stride);
        for (int row = 0; row < size; ++row)
            hash.add(std::span<const float>(area.data() + row * stride, size));
    }
}

Matrix<double> matrix(Numbers& numbers, int rows, int columns, float low, float scale) {
    Matrix<double> result(rows, columns);
    for (double& value : result.data) value = double(numbers.uniform(low, scale));
    return result;
}

void digest_shape(Numbers& numbers, Hash& hash) {
    constexpr int points = 68, modes = 34;
    Matrix<double> eigenvalues = matrix(numbers, 1, modes, 0.1f, 400.0f);
    std::sort(eigenvalues.data.rbegin(), eigenvalues.data.rend());
    const Matrix<double> mean = matrix(numbers, 3 * points, 1, -0.5f, 120.0f);
    const Matrix<double> variation = matrix(numbers, 3 * points, modes, -0.5f, 0.3f);
    const Pdm pdm("digest", mean, variation, eigenvalues);
    PdmScratch scratch;
    pdm.prepare(scratch);
    const AlignedVector<float> local = numbers.floats(modes, -0.5f, 20.0f);
    const GlobalParameters global{2.5f, 0.2f, -0.4f, 0.1f, 310.0f, 220.0f};
    AlignedVector<float> xy(std::size_t(2 * pdm.stride()));
    pdm.shape2d(global, local.data(), xy.data(), scratch);
    hash.add(xy);

    LandmarkWeights weights{numbers.floats(points, 0.0f, 1.0f), false};
    weights.values.resize(std::size_t(pdm.stride()));
    AlignedVector<float> residual(std::size_t(2 * pdm.stride()));
    for (std::size_t i = 0; i < points; ++i)
        for (const std::size_t axis : {0, 1})
            residual[axis * std::size_t(pdm.stride()) + i] = numbers.uniform(-0.5f, 8.0f);
    for (const bool rigid : {true, false})
        hash.add(pdm.solve_step(global, local.data(), weights, residual.data(), 25.0f, rigid, scratch));

    std::vector<float> landmarks(2 * points);
    pdm.pack(xy.data(), 2, landmarks.data());
    for (float& value : landmarks) value += numbers.uniform(-0.5f, 3.0f);
    GlobalParameters fitted;
    std::vector<float> fitted_local(modes);
    PdmFitScratch fit_scratch;
    pdm.fit_to_landmarks(landmarks.data(), fitted, fitted_local.data(), fit_scratch);
    hash.add(fitted);
    hash.add(fitted_local);
}

void digest_mean_shift(Numbers& numbers, Hash& hash) {
    constexpr int window = 11, stride = 16, landmarks = 2 * mean_shift_lanes;
    AlignedVector<float> maps(landmarks * window * stride), interleaved(landmarks * kernel_size(window)),
        kernels(landmarks * kernel_size(window));
    for (int i = 0; i < 10; ++i) {
        const float *map_of[landmarks], *kernel_of[landmarks];
        float dx[landmarks], dy[landmarks], shift_x[landmarks], shift_y[landmarks];
        for (int l = 0; l < landmarks; ++l) {
            float* map = maps.data() + l * window * stride;
            float* kernel = kernels.data() + l * kernel_size(window);
            for (int y = 0; y < window; ++y)
                for (int x = 0; x < window; ++x) map[y * stride + x] = numbers.uniform(0.0f, 1.0f);
            dx[l] = numbers.uniform(0.0f, 10.0f);
            dy[l] = numbers.uniform(0.0f, 10.0f);
            mean_shift_kernel(dx[l], dy[l], -0.2f, window, kernel);
            map_of[l] = map;
            kernel_of[l] = kernel;
            hash.add(kernel_likelihood(map, window, stride, dx[l], dy[l], 1.5f));
        }
        float* second = interleaved.data() + mean_shift_lanes * kernel_size(window);
        interleave_maps(map_of, window, stride, interleaved.data());
        interleave_maps(map_of + mean_shift_lanes, window, stride, second);
        mean_shifts(MeanShiftGroups{{interleaved.data(), second}, kernel_of, dx, dy, shift_x, shift_y},
                    window);
        hash.add(std::span<const float>(shift_x));
        hash.add(std::span<const float>(shift_y));
    }
}

void digest_dense_layer(Numbers& numbers, Hash& hash) {
    constexpr int inputs = 37, outputs = 31, count = 44, in_stride = 40, stride = dense_stride(outputs);
    const AlignedVector<float> weights = numbers.floats(inputs * outputs, -0.5f, 1.0f);
    const AlignedVector<float> bias = numbers.floats(outputs, -0.5f, 1.0f);
    const AlignedVector<float> in = numbers.floats(count * in_stride + 16, -0.5f, 2.0f);
    AlignedVector<float> panels(dense_lanes(outputs).count * inputs + 16), bias_lanes(stride + 16);
    pack_dense_weights(weights.data(), outputs, inputs, panels.data());
    pack_dense_bias(bias.data(), outputs, bias_lanes.data());
    AlignedVector<float> lanes(count * stride), out(count * stride);
    for (const Activation activation : {Activation::logistic, Activation::identity, Activation::rectifier}) {
        const DenseLayer layer{panels.data(), bias_lanes.data(), inputs, dense_lanes(outputs), activation};
        evaluate_dense_layer(layer, in.data(), in_stride, count, lanes.data(), out.data(), stride);
        for (int i = 0; i < count; ++i) hash.add(std::span<const float>(out.data() + i * stride, outputs));
    }
}

void digest_fhog(Numbers& numbers, Hash& hash) {
    constexpr int stride = fhog::image_size + 16;
    const ImageU8 planes = numbers.image(stride, 3 * fhog::image_size, 1);
    fhog::Scratch scratch;
    AlignedVector<float> descriptor(fhog::padded_length);
    fhog::describe(planes.row(0), planes.row(fhog::image_size), planes.row(2 * fhog::image_size), stride,
                   scratch, descriptor.data());
    hash.add(std::span<const float>(descriptor.data(), fhog::length));
}

void digest_predictors(Numbers& numbers, Hash& hash) {
    constexpr int features = 500, blocks = 3;
    AlignedVector<double> weights(features * 8 * blocks), vector(features), dots(8 * blocks);
    for (double& value : weights) value = double(numbers.uniform(-0.5f, 1.0f));
    for (double& value : vector) value = double(numbers.uniform(-0.5f, 1.0f));
    predictor_dots(weights.data(), blocks, vector.data(), features, dots.data());
    hash.add(dots);
}

// The picture moved right and down, its edge pixels repeated.
ImageU8 moved(const ViewU8& picture, int by) {
    ImageU8 result(picture.width, picture.height, picture.channels);
    const auto bytes = std::size_t(picture.channels);
    for (int y = 0; y < picture.height; ++y)
        for (int x = 0; x < picture.width; ++x)
            std::memcpy(result.row(y) + std::size_t(x) * bytes,
                        picture.row(std::max(0, y - by)) + std::size_t(std::max(0, x - by)) * bytes, bytes);
    return result;
}

}  // namespace

std::vector<StageDigest> digest_stages() {
    struct Stage {
        const char* name;
        void (*digest)(Numbers&, Hash&);
    };
    const Stage stages[] = {{"fma", digest_fma},
                            {"exp", digest_exp},
                            {"math", digest_math},
                            {"grey", digest_grey},
                            {"resize", digest_resize},
                            {"area", digest_area},
                            {"shape", digest_shape},
                            {"mean_shift", digest_mean_shift},
                            {"dense_layer", digest_dense_layer},
                            {"fhog", digest_fhog},
                            {"predictors", digest_predictors}};
    std::vector<StageDigest> digests;
    for (const Stage& stage : stages) {
        Numbers numbers;
        Hash hash;
        stage.digest(numbers, hash);
        digests.push_back({stage.name, hash.value()});
    }
    return digests;
}

std::vector<StageDigest> digest_tracking(const std::filesystem::path& models, const ViewU8& picture) {
    const auto model = LandmarkModel::load(models / "model" / "main_clnf_general.txt");
    const auto detector = MtcnnDetector::load(models / "model" / "mtcnn_detector" / "MTCNN_detector.txt");
    const auto analyser = FaceAnalyserModel::load(models / "AU_predictors" / "main_dynamic_svms.txt");
    FaceTracking tracking(model, detector, LandmarkParameters::standard(), 1);
    Observer observer(model, analyser, Program::single_face);
    std::vector<double> row(observer.column_count());
    const Camera camera = Camera::standard(picture.width, picture.height);
    MtcnnScratch scratch;
    Hash detections;
    std::vector<Box> boxes;
    for (const Detection& detection : detector->detect(picture, scratch)) {
        detections.add(detection);
        boxes.push_back(detection.box);
    }
    std::vector<StageDigest> digests{{"detections", detections.value()}};
    for (int frame = 0; frame < 3; ++frame) {
        const ImageU8 image = moved(picture, frame);
        const std::string number = std::to_string(frame);
        for (const FittedFace& face : tracking.track(image.view(), &boxes)) {
            Hash fit;
            fit.add(face.success);
            fit.add(face.state.certainty);
            fit.add(face.state.face.landmarks);
            fit.add(face.state.face.landmark_likelihoods);
            fit.add(face.state.face.local);
            digests.push_back({(face.state.ok ? "fit_" : "no_face_") + number, fit.value()});
            Hash cells;
            observer.observe(face, image.view(), camera, frame + 1, frame / 30.0, row.data());
            cells.add(row);
            digests.push_back({"row_" + number, cells.value()});
        }
    }
    return digests;
}

}  // namespace openface::tests
