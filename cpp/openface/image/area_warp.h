// The area of interest of a patch expert: a square cut from the grey image, turned and scaled into the
// expert's frame (landmark-fitting.md, section 4.3).
//
// The result must equal the reference's image library bit for bit: positions in fixed point with 1/32 px
// steps, bilinear weights as float products, pixels outside the image count as 0.
#pragma once

#include "openface/core/dispatch.h"
#include "openface/core/image.h"

namespace openface {

// The 2x3 map from area pixel to image: u = a x - b y + m02, v = b x + a y + m12, entries in float.
struct AreaMap {
    float a, b, m02, m12;
};

// The map whose centre pixel samples the landmark (x, y); a and b are those of the similarity reference ->
// image.
AreaMap area_map(float a, float b, float x, float y, int size);

// Fills size x size floats, rows `stride` apart (stride a multiple of 8, at least padded(size); the floats
// between size and stride are written too and have no meaning).
OPENFACE_KERNEL(sample_area, void(const ViewU8& grey, const AreaMap& map, int size, float* area, int stride));

}  // namespace openface
