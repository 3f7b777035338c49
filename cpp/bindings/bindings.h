// What the binding files share: the register_ functions and conversions between numpy arrays and the engine's
// views.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#include <pybind11/stl/filesystem.h>

#include <span>
#include <string>

#include "openface/core/image.h"

namespace pyopenface {

namespace py = pybind11;

void register_errors(py::module_& module);
void register_build_config(py::module_& module);
void register_csv_format(py::module_& module);
void register_arithmetic_stages(py::module_& stages);
void register_grey_stages(py::module_& stages);
void register_shape_stages(py::module_& stages);
void register_ccnf_stages(py::module_& stages);
void register_association_stages(py::module_& stages);
void register_pipeline(py::module_& module);
void register_nn_stages(py::module_& stages);
void register_face_detector(py::module_& module, py::module_& stages);
void register_face_analyser(py::module_& module);
void register_face_analyser_stages(py::module_& stages);
void register_validator_stages(py::module_& stages);
void register_patch_experts_stages(py::module_& stages);
void register_fitting_stages(py::module_& stages);
void register_digest_stages(py::module_& stages);

// A view of a uint8 image (H, W), (H, W, 3) or (H, W, 4); pixels of a row must be contiguous, rows may be
// apart. Raises pyopenface.InputError naming the argument when dtype, shape or layout don't fit. The array
// must outlive it.
openface::ViewU8 view_of_image(const py::array& image, const char* argument);

// A numpy array that owns a copy of the values.
template <class T>
py::array_t<T> to_array(std::span<const T> values) {
    py::array_t<T> result(py::ssize_t(values.size()));
    std::copy(values.begin(), values.end(), result.mutable_data());
    return result;
}

// A C-contiguous float32 array of exactly the given number of elements; raises InputError otherwise.
py::array_t<float, py::array::c_style | py::array::forcecast> float_array(const py::handle& values,
                                                                          const char* argument,
                                                                          py::ssize_t size = -1);

}  // namespace pyopenface
