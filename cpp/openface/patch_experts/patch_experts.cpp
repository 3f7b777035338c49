#include "openface/patch_experts/patch_experts.h"

namespace openface {

int PatchExperts::nearest_view(int scale, const GlobalParameters& global) const {
    const std::vector<View>& views = scales_[std::size_t(scale)].views;
    int nearest = 0;
    float smallest = 0.0f;
    for (int i = 0; i < int(views.size()); ++i) {
        const auto& centre = views[std::size_t(i)].centre;
        const float dx = float(double(global.rx) - centre[0]);
        const float dy = float(double(global.ry) - centre[1]);
        const float dz = float(double(global.rz) - centre[2]);
        const float distance = dx * dx + dy * dy + dz * dz;
        if (i == 0 || distance < smallest) {
            smallest = distance;
            nearest = i;
        }
    }
    return nearest;
}

}  // namespace openface
