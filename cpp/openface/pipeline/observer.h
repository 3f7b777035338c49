// Fitted faces in, rows of numbers out: head pose, 3D landmarks, gaze and action units, in the order of
// OpenFace's CSV columns (tracking.md, sections 6 to 8 and 12).
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "openface/face_analyser/face_analyser.h"
#include "openface/gaze_analyser/camera.h"
#include "openface/pipeline/face_tracking.h"

namespace openface {

// Which of OpenFace's three programs the rows follow: they differ in when gaze is computed and how action
// units are.
enum class Program { single_face, several_faces, pictures };

class Observer {
  public:
    // Without an analyser model there are no action units. Several faces with a dynamic model have an
    // analyser each, by their ids, and an end-of-video pass each.
    // Without `history` nothing is kept for the end of the video, for input that has none.
    Observer(std::shared_ptr<const LandmarkModel> model,
             std::shared_ptr<const FaceAnalyserModel> analyser_model, Program program, bool live = false,
             bool history = true);

    // The columns of a row: those of a sequence with all groups on, also for pictures (whose face index is
    // face_id).
    const std::vector<std::string>& columns() const { return columns_; }
    std::size_t column_count() const { return columns_.size(); }

    // Writes one row. `image` is the frame that the face was fitted in.
    void observe(const FittedFace& face, const ViewU8& image, const Camera& camera, long frame_number,
                 double timestamp, double* row);

    // The analyser that saw the latest face (for aligned faces and descriptors), or null.
    FaceAnalyser* analyser() { return latest_analyser_; }
    // Analysers by face id; all faces share number 0 unless each has its own.
    const std::map<int, std::unique_ptr<FaceAnalyser>>& analysers() const { return analysers_; }
    // Whether each face is calibrated for itself.
    bool one_analyser_per_face() const { return per_face_; }
    // Forgets one face's calibration and history, or everybody's.
    void forget(int id);
    void reset();
    // The FHOG descriptor of the latest face; empty without an analyser.
    std::span<const float> latest_fhog() const { return latest_fhog_; }
    Program program() const { return program_; }
    const LandmarkModel& model() const { return *model_; }

  private:
    FaceAnalyser& analyser_of(int id);

    std::shared_ptr<const LandmarkModel> model_;
    Program program_;
    std::shared_ptr<const FaceAnalyserModel> analyser_model_;
    bool live_;
    bool history_;
    bool per_face_;
    std::map<int, std::unique_ptr<FaceAnalyser>> analysers_;
    FaceAnalyser* latest_analyser_ = nullptr;
    std::vector<std::string> columns_;
    PdmScratch scratch_;
    std::vector<float> face_3d_;
    std::vector<float> eye_3d_[2];
    std::span<const float> latest_fhog_;
};

}  // namespace openface
