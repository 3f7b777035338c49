// stages.*: the steps of the face analyser one by one, for the tests against golden data.
#include <chrono>
#include <map>

#include "bindings.h"
#include "openface/core/error.h"
#include "openface/face_analyser/face_analyser.h"

namespace pyopenface {

namespace {

namespace fhog = openface::fhog;

py::array_t<std::uint8_t> interleaved(const openface::AlignedPlanes& planes) {
    openface::ImageU8 image;
    openface::interleave(planes, false, image);
    py::array_t<std::uint8_t> result({image.height(), image.width(), 3});
    std::copy_n(image.data(), result.size(), result.mutable_data());
    return result;
}

openface::AlignmentWarp warp_of(const py::handle& values) {
    const auto array = float_array(values, "warp", 6);
    openface::AlignmentWarp warp{};
    std::copy_n(array.data(), 6, warp.begin());
    return warp;
}

py::array_t<float> alignment_warp(const py::handle& landmarks, const py::handle& mean_shape, float tx,
                                  float ty, int size, double scale) {
    const auto points = float_array(landmarks, "landmarks", 136),
               mean = float_array(mean_shape, "mean_shape", 136);
    const openface::AlignmentWarp warp =
        openface::alignment_warp(points.data(), mean.data(), tx, ty, size, scale);
    py::array_t<float> result({2, 3});
    std::copy(warp.begin(), warp.end(), result.mutable_data());
    return result;
}

py::array_t<float> mask_points(const py::handle& landmarks, const py::handle& warp, double scale) {
    const auto points = float_array(landmarks, "landmarks", 136);
    py::array_t<float> result(136);
    openface::mask_points(points.data(), warp_of(warp), scale, result.mutable_data());
    return result;
}

py::array_t<std::uint8_t> face_mask(const std::filesystem::path& main_file, const py::handle& corners,
                                    int size) {
    const auto points = float_array(corners, "corners", 136);
    openface::AlignedPlanes planes;
    planes.resize(size);
    openface::rasterise_mask(openface::FaceAnalyserModel::load(main_file)->triangles(), points.data(),
                             planes);
    py::array_t<std::uint8_t> mask({size, size});
    for (int y = 0; y < size; ++y)
        for (int x = 0; x < size; ++x)
            mask.mutable_at(y, x) = planes.mask[std::size_t(y * planes.stride + x)] != 0;
    return mask;
}

py::array_t<std::uint8_t> warp_face(const py::array& image, const py::handle& warp, int size) {
    openface::AlignedPlanes planes;
    planes.resize(size);
    std::fill(planes.mask.begin(), planes.mask.end(), -1);
    openface::AlignmentScratch scratch;
    openface::warp_into_planes(view_of_image(image, "image"), warp_of(warp), planes, scratch);
    return interleaved(planes);
}

py::array_t<float> describe(const py::array_t<std::uint8_t, py::array::c_style>& image) {
    if (image.ndim() != 3 || image.shape(0) != fhog::image_size || image.shape(1) != fhog::image_size ||
        image.shape(2) != 3)
        throw openface::Error(openface::Error::Code::input, "image: (112, 112, 3) expected");
    openface::AlignedPlanes planes;
    planes.resize(fhog::image_size);
    for (int y = 0; y < fhog::image_size; ++y)
        for (int x = 0; x < fhog::image_size; ++x) {
            const std::size_t target = std::size_t(y * planes.stride + x);
            planes.blue[target] = image.at(y, x, 0);
            planes.green[target] = image.at(y, x, 1);
            planes.red[target] = image.at(y, x, 2);
        }
    fhog::Scratch scratch;
    openface::AlignedVector<float> descriptor(fhog::padded_length);
    fhog::describe(planes.blue.data(), planes.green.data(), planes.red.data(), planes.stride, scratch,
                   descriptor.data());
    return to_array(std::span<const float>(descriptor.data(), fhog::length));
}

// Decision values (features - mean - medians).w + bias of all predictors, intensities first.
py::array_t<double> decisions(const std::filesystem::path& main_file, const py::array_t<double>& features,
                              const py::array_t<double>& medians) {
    const auto model = openface::FaceAnalyserModel::load(main_file);
    const openface::Predictors& predictors = model->predictors();
    if (features.size() != predictors.feature_count() || medians.size() != features.size())
        throw openface::Error(openface::Error::Code::input, "features, medians: wrong number of values");
    std::vector<double> dots(std::size_t(predictors.padded_count())), median_dots(dots.size());
    predictors.dots(features.data(), medians.data(), dots.data(), median_dots.data());
    py::array_t<double> result(predictors.count());
    for (int p = 0; p < predictors.count(); ++p)
        result.mutable_at(p) = dots[std::size_t(p)] + predictors.offset(p) -
                               (predictors.predictor(p).dynamic ? median_dots[std::size_t(p)] : 0.0);
    return result;
}

// Microseconds that each step took in each repetition, frame after frame on the same face.
py::dict analyser_times(const std::filesystem::path& main_file, const py::array& image,
                        const py::handle& landmarks, int repeats) {
    using Clock = std::chrono::steady_clock;
    openface::FaceAnalyser analyser(openface::FaceAnalyserModel::load(main_file));
    const auto points = float_array(landmarks, "landmarks", 136);
    std::vector<float> moving(points.data(), points.data() + points.size());
    const openface::ViewU8 frame = view_of_image(image, "image");
    std::map<std::string, std::vector<double>> times;
    const auto measure = [&](const char* name, auto&& step) {
        const auto start = Clock::now();
        step();
        times[name].push_back(std::chrono::duration<double, std::micro>(Clock::now() - start).count());
    };
    for (int i = 0; i < repeats; ++i) {
        // A landmark moves, so that no fit can be reused and descriptors differ.
        moving[0] += 0.01f;
        measure("frame (odd)", [&] { analyser.analyse(frame, moving.data(), true); });
        moving[0] += 0.01f;
        measure("frame (even)", [&] { analyser.analyse(frame, moving.data(), true); });
        moving[0] += 0.01f;
        measure("fit", [&] { analyser.fit(moving.data()); });
        measure("align", [&] { analyser.align_for_units(frame, moving.data()); });
        measure("describe", [&] { analyser.describe(); });
        measure("medians (odd)", [&] { analyser.update_medians(true); });
        measure("predict (odd)", [&] { analyser.predict(); });
        measure("medians (even)", [&] { analyser.update_medians(true); });
        measure("predict (even)", [&] { analyser.predict(); });
    }
    return py::cast(times);
}

}  // namespace

void register_face_analyser_stages(py::module_& stages) {
    stages.def("alignment_warp", &alignment_warp);
    stages.def("mask_points", &mask_points);
    stages.def("face_mask", &face_mask);
    stages.def("warp_face", &warp_face);
    stages.def("fhog", &describe);
    stages.def("au_decisions", &decisions);
    stages.def("analyser_times", &analyser_times);
    py::class_<openface::RunningMedian>(stages, "RunningMedian")
        .def(py::init([](int entries, bool appearance) {
            return openface::RunningMedian(
                entries, appearance ? openface::appearance_range : openface::geometry_range);
        }))
        .def("add",
             [](openface::RunningMedian& self, const py::array_t<double>& descriptor) {
                 if (descriptor.size() != self.entries())
                     throw openface::Error(openface::Error::Code::input,
                                           "descriptor: wrong number of values");
                 self.add({descriptor.data(), std::size_t(descriptor.size())});
             })
        .def("add_failed", &openface::RunningMedian::add_failed)
        .def("samples", &openface::RunningMedian::samples)
        .def("set_samples", &openface::RunningMedian::set_samples)
        .def("restore",
             [](openface::RunningMedian& self, std::uint32_t count, const py::array_t<double>& medians) {
                 self.restore(count, {medians.data(), std::size_t(medians.size())});
             })
        .def("medians", [](const openface::RunningMedian& self) { return to_array(self.medians()); });
}

}  // namespace pyopenface
