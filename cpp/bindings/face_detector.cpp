// pyopenface.FaceDetector and stages.mtcnn_trace.
#include "bindings.h"
#include "gil.h"
#include "openface/face_detector/mtcnn.h"

namespace pyopenface {

namespace {

using openface::Box;
using openface::Candidate;
using openface::MtcnnTrace;

py::array_t<float> boxes_array(const std::vector<Box>& boxes) {
    py::array_t<float> result({py::ssize_t(boxes.size()), py::ssize_t(4)});
    float* to = result.mutable_data();
    for (const Box& box : boxes)
        for (const float value : {box.x, box.y, box.width, box.height}) *to++ = value;
    return result;
}

py::dict candidates_dict(const std::vector<Candidate>& candidates) {
    std::vector<Box> boxes;
    std::vector<float> scores;
    std::vector<float> offsets;
    for (const Candidate& candidate : candidates) {
        boxes.push_back(candidate.box);
        scores.push_back(candidate.score);
        offsets.insert(offsets.end(), candidate.offsets.begin(), candidate.offsets.end());
    }
    py::dict result;
    result["boxes"] = boxes_array(boxes);
    result["scores"] = to_array(std::span<const float>(scores));
    result["offsets"] = to_array(std::span<const float>(offsets)).reshape({-1, 4});
    return result;
}

py::dict stage_dict(const MtcnnTrace::Stage& stage) {
    py::dict result = candidates_dict(stage.above);
    result["squares"] = boxes_array(stage.squares);
    result["outputs"] = to_array(std::span<const float>(stage.outputs));
    result["kept"] = to_array(std::span<const int>(stage.kept));
    result["corrected"] = boxes_array(stage.corrected_boxes);
    return result;
}

// One detector for any number of threads: each call has buffers of its own thread.
class FaceDetector {
  public:
    explicit FaceDetector(const std::filesystem::path& listing)
        : detector_(openface::MtcnnDetector::load(listing)) {}

    py::tuple detect(const py::array& image) const {
        const openface::ViewU8 view = view_of_image(image, "image");
        std::vector<openface::Detection> detections;
        {
            const GilReleased released;
            thread_local openface::MtcnnScratch scratch;
            detections = detector_->detect(view, scratch);
        }
        std::vector<Box> boxes;
        std::vector<float> confidences;
        for (const openface::Detection& detection : detections) {
            boxes.push_back(detection.box);
            confidences.push_back(detection.confidence);
        }
        return py::make_tuple(boxes_array(boxes), to_array(std::span<const float>(confidences)));
    }

    py::dict trace(const py::array& image) const {
        openface::MtcnnScratch scratch;
        MtcnnTrace trace;
        detector_->detect(view_of_image(image, "image"), scratch, &trace);
        py::list levels;
        for (const MtcnnTrace::Level& level : trace.levels) {
            py::dict entry = candidates_dict(level.proposals);
            entry["scale"] = level.scale;
            entry["outputs"] =
                to_array(std::span<const float>(level.outputs)).reshape({level.height, level.width, -1});
            entry["kept"] = to_array(std::span<const int>(level.kept));
            levels.append(entry);
        }
        py::dict result;
        result["levels"] = levels;
        result["proposals"] = stage_dict(trace.proposals);
        result["refinement"] = stage_dict(trace.refinement);
        result["output"] = stage_dict(trace.output);
        return result;
    }

  private:
    std::shared_ptr<const openface::MtcnnDetector> detector_;
};

py::array_t<float> resized(const py::array& image, std::pair<int, int> columns, std::pair<int, int> rows,
                           int width, int height) {
    openface::BilinearScratch scratch;
    std::vector<float> out(std::size_t(width) * std::size_t(height) * 3 + 8);
    openface::resize_bilinear(view_of_image(image, "image"), {columns.first, columns.second},
                              {rows.first, rows.second}, width, height, 0.0f, 1.0f, scratch, out.data());
    return to_array(std::span<const float>(out.data(), out.size() - 8)).reshape({height, width, 3});
}

constexpr const char* class_doc = R"doc(
Face detector: multi-task cascaded convolutional networks (MTCNN), OpenFace's default.

Parameters
----------
listing : path-like
    OpenFace's ``model/mtcnn_detector/MTCNN_detector.txt``; the three network files that it names stand beside it.

Raises
------
pyopenface.ModelError
    If a file is missing, truncated or corrupted.

Notes
-----
An object holds only weights: any number of threads may use it at once, and the GIL is released while it works.

Examples
--------
>>> import numpy as np
>>> from pyopenface import FaceDetector
>>> detector = FaceDetector("model/mtcnn_detector/MTCNN_detector.txt")  # doctest: +SKIP
>>> boxes, confidences = detector.detect(np.zeros((480, 640, 3), np.uint8))  # doctest: +SKIP
>>> boxes.shape, confidences.shape  # doctest: +SKIP
((0, 4), (0,))
)doc";

constexpr const char* detect_doc = R"doc(
Find the faces of an image.

Parameters
----------
image : numpy.ndarray
    uint8, shape (H, W, 3) in the order B, G, R, (H, W) grey, or (H, W, 4) with alpha, which is ignored. Faces smaller
    than about 60 pixels are not looked for; an image narrower or lower than that has none.

Returns
-------
boxes : numpy.ndarray
    float32, shape (k, 4): x, y, width, height in pixels of the image (the centre of its first pixel is (0, 0), y runs
    down). A box fits the 68 landmarks, brows to chin and jaw outline to jaw outline, and may reach beyond the image.
confidences : numpy.ndarray
    float32, shape (k,): probability of a face, 0 to 1, in descending order.

Raises
------
pyopenface.InputError
    If the image has another dtype or shape.

Examples
--------
>>> import cv2
>>> boxes, confidences = detector.detect(cv2.imread("photo.jpg"))  # doctest: +SKIP
)doc";

}  // namespace

void register_face_detector(py::module_& module, py::module_& stages) {
    py::class_<FaceDetector>(module, "FaceDetector", class_doc)
        .def(py::init<const std::filesystem::path&>(), py::arg("listing"))
        .def("detect", &FaceDetector::detect, py::arg("image"), detect_doc);
    stages.def("mtcnn_trace", &FaceDetector::trace, py::arg("detector"), py::arg("image"));
    stages.def("resize_bilinear", &resized, py::arg("image"), py::arg("columns"), py::arg("rows"),
               py::arg("width"), py::arg("height"));
}

}  // namespace pyopenface
