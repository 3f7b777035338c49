// A pinhole camera: focal lengths and optical centre in pixels (tracking.md, section 10.3).
#pragma once

namespace openface {

struct Camera {
    float fx = 500.0f;
    float fy = 500.0f;
    float cx = 320.0f;
    float cy = 240.0f;

    // What OpenFace assumes for a frame of this size when nothing is known of the camera.
    static Camera standard(int width, int height) {
        const float focal = (500.0f * (float(width) / 640.0f) + 500.0f * (float(height) / 480.0f)) / 2.0f;
        return {focal, focal, float(width) / 2.0f, float(height) / 2.0f};
    }
};

}  // namespace openface
