// _core.format_rows: rows of numbers as the text of a CSV file.
#include "openface/pipeline/csv_format.h"
#include "bindings.h"
#include "gil.h"
#include "openface/core/error.h"

namespace pyopenface {

namespace {
using openface::Error;
using IntArray = py::array_t<int, py::array::c_style | py::array::forcecast>;
using DoubleArray = py::array_t<double, py::array::c_style | py::array::forcecast>;

py::bytes format_rows(const DoubleArray& values, const IntArray& decimals, const std::string& nan) {
    if (values.ndim() != 2 || values.shape(1) != decimals.size())
        throw Error(Error::Code::input,
                    "values: must have shape (k, " + std::to_string(decimals.size()) +
                        "), a column for each of the decimals; got " + std::to_string(values.ndim()) +
                        " dimensions" +
                        (values.ndim() == 2 ? " and " + std::to_string(values.shape(1)) + " columns" : ""));
    std::string text;
    {
        const GilReleased released;
        text = openface::format_csv_rows({values.data(), std::size_t(values.size())},
                                         {decimals.data(), std::size_t(decimals.size())}, nan);
    }
    return py::bytes(text);
}
}  // namespace

void register_csv_format(py::module_& module) {
    module.def(
        "format_rows", &format_rows, py::arg("values"), py::arg("decimals"), py::kw_only(),
        py::arg("nan") = "nan",
        "Rows (k, c) of float64 as CSV lines, like printf with the given decimals (0 to 9) per column.");
}

}  // namespace pyopenface
