#include "openface/patch_experts/scale_header.h"

#include <cmath>

#include "openface/core/error.h"
#include "openface/core/math.h"

namespace openface {

namespace {

Matrix<double> read_reals(BinaryReader& reader, const char* field) {
    return reader.read_double_matrix(field);
}
Matrix<double> read_reals(TextReader& reader, const char* field) {
    return reader.read_real_matrix(field);
}

template <class Reader>
std::array<double, 3> read_centre(Reader& reader) {
    const Matrix<double> degrees = read_reals(reader, "view centre");
    if (degrees.size() != 3) reader.fail("view centre", "three angles expected");
    std::array<double, 3> centre{};
    for (std::size_t i = 0; i < 3; ++i) {
        if (std::fabs(degrees.data[i]) > 360.0) reader.fail("view centre", "an angle beyond 360 degrees");
        centre[i] = degrees.data[i] * math::pi / 180.0;
    }
    return centre;
}

template <class Reader>
void read_visibility(Reader& reader, int landmark_count, PatchExperts::View& view) {
    const auto flags = reader.read_int_matrix("visibility");
    if (flags.size() != std::size_t(landmark_count))
        reader.fail("visibility", std::to_string(flags.size()) + " landmarks, " +
                                      std::to_string(landmark_count) + " expected");
    for (const int flag : flags.data) {
        view.visible.push_back(flag != 0 ? 1 : 0);
        view.visible_count += flag != 0 ? 1 : 0;
    }
    if (view.visible_count < 3) reader.fail("visibility", "fewer than three visible landmarks");
    view.confidence.assign(view.visible.size(), 0.0f);
}

template <class Reader>
PatchExperts::Scale read_header(Reader& reader, int landmark_count) {
    PatchExperts::Scale scale;
    scale.scaling = reader.read_double("scale");
    if (!(scale.scaling >= 0.01 && scale.scaling <= 10.0))
        reader.fail("scale", std::to_string(scale.scaling) + " is not between 0.01 and 10");
    scale.views.resize(std::size_t(reader.read_count("number of views", 1, 64)));
    for (PatchExperts::View& view : scale.views) view.centre = read_centre(reader);
    for (PatchExperts::View& view : scale.views) read_visibility(reader, landmark_count, view);
    return scale;
}

}  // namespace

PatchExperts::Scale read_scale_header(BinaryReader& reader, int landmark_count) {
    return read_header(reader, landmark_count);
}
PatchExperts::Scale read_scale_header(TextReader& reader, int landmark_count) {
    return read_header(reader, landmark_count);
}

void check_query(const ResponseQuery& query, const PatchExperts& experts) {
    const auto refuse = [](const std::string& cause) {
        throw Error(Error::Code::input, "patch experts: " + cause);
    };
    if (query.grey.empty() || query.grey.channels != 1) refuse("a grey image that is not empty is needed");
    if (query.scale < 0 || query.scale >= int(experts.scales().size()))
        refuse("there is no scale " + std::to_string(query.scale));
    if (query.view < 0 || query.view >= int(experts.scales()[std::size_t(query.scale)].views.size()))
        refuse("there is no view " + std::to_string(query.view));
    if (query.window < 1 || query.window > 99 || query.window % 2 == 0)
        refuse("window " + std::to_string(query.window) + " is not odd and between 1 and 99");
}

}  // namespace openface
