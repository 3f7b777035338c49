// stages.fma, stages.exp, stages.math: the engine's arithmetic, for the tests that compare instruction sets.
#include <cstring>

#include "bindings.h"
#include "openface/core/aligned.h"
#include "openface/core/error.h"
#include "openface/core/math.h"
#include "openface/core/probe.h"

namespace pyopenface {

namespace {
using FloatArray = py::array_t<float, py::array::c_style | py::array::forcecast>;

openface::AlignedVector<float> padded_copy(const FloatArray& values) {
    openface::AlignedVector<float> copy(std::size_t(openface::padded(int(values.size()))), 1.0f);
    std::copy(values.data(), values.data() + values.size(), copy.begin());
    return copy;
}
}  // namespace

void register_arithmetic_stages(py::module_& stages) {
    stages.def("fma", [](const FloatArray& a, const FloatArray& b, const FloatArray& c) {
        if (a.size() != b.size() || a.size() != c.size())
            throw openface::Error(openface::Error::Code::input, "a, b, c must have the same size");
        const auto av = padded_copy(a), bv = padded_copy(b), cv = padded_copy(c);
        openface::AlignedVector<float> out(av.size());
        openface::probe_fma(av.data(), bv.data(), cv.data(), out.data(), int(out.size()));
        return to_array(std::span<const float>(out.data(), std::size_t(a.size())));
    });
    stages.def("exp", [](const FloatArray& x) {
        const auto xv = padded_copy(x);
        openface::AlignedVector<float> out(xv.size());
        openface::probe_exp(xv.data(), out.data(), int(out.size()));
        return to_array(std::span<const float>(out.data(), std::size_t(x.size())));
    });
    stages.def(
        "math",
        [](const std::string& name, double x, double y) {
            namespace m = openface::math;
            if (name == "sin") return m::sin(x);
            if (name == "cos") return m::cos(x);
            if (name == "atan2") return m::atan2(x, y);
            if (name == "asin") return m::asin(x);
            if (name == "acos") return m::acos(x);
            if (name == "exp") return m::exp(x);
            if (name == "log") return m::log(x);
            throw openface::Error(openface::Error::Code::input, "unknown function '" + name + "'");
        },
        py::arg("name"), py::arg("x"), py::arg("y") = 0.0);
}

}  // namespace pyopenface
