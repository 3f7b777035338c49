// stages.CcnfExperts: responses of one scale, for the tests against golden/stages/patch_experts.npz.
#include "bindings.h"
#include "openface/core/error.h"
#include "openface/image/area_warp.h"
#include "openface/patch_experts/ccnf.h"

namespace pyopenface {

namespace {
using FloatArray = py::array_t<float, py::array::c_style | py::array::forcecast>;

// A grey image with the slack behind its pixels that the engine's loads need.
openface::ImageU8 grey_copy(const py::array& image) {
    const openface::ViewU8 view = view_of_image(image, "image");
    if (view.channels != 1)
        throw openface::Error(openface::Error::Code::input, "image: a grey image is needed");
    openface::ImageU8 copy(view.width, view.height);
    for (int y = 0; y < view.height; ++y) std::copy(view.row(y), view.row(y) + view.width, copy.row(y));
    return copy;
}
}  // namespace

void register_ccnf_stages(py::module_& stages) {
    using openface::CcnfExperts;
    py::class_<CcnfExperts>(stages, "CcnfExperts")
        .def(py::init([](const std::vector<std::filesystem::path>& files, int landmark_count) {
            return CcnfExperts::load(files, landmark_count);
        }))
        .def("visible",
             [](const CcnfExperts& e, int scale, int view) {
                 return e.scales().at(std::size_t(scale)).views.at(std::size_t(view)).visible;
             })
        .def("nearest_view", [](const CcnfExperts& e, int scale, float rx, float ry,
                                float rz) { return e.nearest_view(scale, {1.0f, rx, ry, rz, 0.0f, 0.0f}); })
        .def("respond", [](const CcnfExperts& e, const py::array& image, const FloatArray& landmarks, float a,
                           float b, int scale, int view, int window) {
            const openface::ImageU8 grey = grey_copy(image);
            const int n = e.landmark_count();
            if (landmarks.size() != 2 * n)
                throw openface::Error(openface::Error::Code::input, "landmarks: 2n coordinates expected");
            openface::ResponseMaps maps;
            openface::PatchScratch scratch;
            e.respond({grey.view(), landmarks.data(), a, b, scale, view, window}, maps, scratch);
            py::array_t<float> result({n, window, window});
            auto out = result.mutable_unchecked<3>();
            for (int i = 0; i < n; ++i)
                for (int y = 0; y < window; ++y)
                    for (int x = 0; x < window; ++x) out(i, y, x) = maps.map(i)[y * maps.stride + x];
            return result;
        });
    stages.def("sample_area", [](const py::array& image, float a, float b, float m02, float m12, int size) {
        if (size < 1 || size > 128) throw openface::Error(openface::Error::Code::input, "size: 1 to 128");
        const openface::ImageU8 grey = grey_copy(image);
        const int stride = openface::padded(size);
        openface::AlignedVector<float> area(std::size_t(size * stride));
        openface::sample_area(grey.view(), openface::AreaMap{a, b, m02, m12}, size, area.data(), stride);
        py::array_t<float> result({size, size});
        for (int y = 0; y < size; ++y)
            std::copy(area.data() + y * stride, area.data() + y * stride + size, result.mutable_data(y, 0));
        return result;
    });
    stages.def("area_map", [](float a, float b, float x, float y, int size) {
        const openface::AreaMap m = openface::area_map(a, b, x, y, size);
        return py::make_tuple(m.a, m.b, m.m02, m.m12);
    });
}

}  // namespace pyopenface
