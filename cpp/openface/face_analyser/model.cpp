#include "openface/face_analyser/model.h"

#include <array>

#include "openface/face_analyser/fhog.h"
#include "openface/face_analyser/hash.h"
#include "openface/io/file_bytes.h"
#include "openface/io/text_reader.h"

namespace openface {

namespace {

struct MainFile {
    std::filesystem::path predictor_list, pdm, triangulation;
};

MainFile read_main_file(const std::filesystem::path& path) {
    MainFile main;
    const std::array<std::pair<const char*, std::filesystem::path*>, 3> entries{
        {{"AUPredictor", &main.predictor_list}, {"PDM", &main.pdm}, {"Triangulation", &main.triangulation}}};
    for (const ListingLine& line : read_listing(path))
        for (const auto& [keyword, target] : entries) {
            if (line.keyword != keyword) continue;
            const std::string position = "line " + std::to_string(line.number) + ", " + keyword;
            if (line.rest.empty()) throw_model_error(path, position, "a file name is missing");
            if (!target->empty()) throw_model_error(path, position, "the second entry of this kind");
            *target = path.parent_path() / line.rest;
        }
    std::string missing;
    for (const auto& [keyword, target] : entries) {
        std::error_code code;
        if (target->empty())
            missing += std::string(" no entry ") + keyword + ";";
        else if (!std::filesystem::is_regular_file(*target, code))
            missing += " " + target->filename().string() + " does not exist;";
    }
    if (!missing.empty()) throw_model_error(path, "", "incomplete:" + missing.substr(0, missing.size() - 1));
    return main;
}

std::vector<Triangle> read_triangles(const std::filesystem::path& path, int landmark_count) {
    TextReader reader(path);
    const Matrix<int> rows = reader.read_int_matrix("triangles");
    reader.expect_end();
    if (rows.cols != 3 || rows.rows > 10000)
        throw_model_error(path, "triangles", "at most 10000 rows of 3 landmarks expected");
    std::vector<Triangle> triangles;
    for (int i = 0; i < rows.rows; ++i) {
        const Triangle t{rows(i, 0), rows(i, 1), rows(i, 2)};
        for (const int landmark : {t.a, t.b, t.c})
            if (landmark < 0 || landmark >= landmark_count)
                throw_model_error(path, "triangle " + std::to_string(i),
                                  std::to_string(landmark) + " is not a landmark");
        if (t.a == t.b || t.b == t.c || t.a == t.c)
            throw_model_error(path, "triangle " + std::to_string(i), "two of its corners are the same");
        triangles.push_back(t);
    }
    return triangles;
}

}  // namespace

std::shared_ptr<const FaceAnalyserModel> FaceAnalyserModel::load(const std::filesystem::path& main_file) {
    const MainFile main = read_main_file(main_file);
    auto model = std::make_shared<FaceAnalyserModel>();
    model->pdm_ = Pdm::load(main.pdm);
    const int n = model->pdm_->landmark_count();
    if (n != face_landmark_count)
        throw_model_error(
            main.pdm, "mean shape",
            std::to_string(n) + " landmarks, the face analyser needs " + std::to_string(face_landmark_count));
    for (int axis = 0; axis < 2; ++axis) {
        const float* mean = model->pdm_->mean(axis);
        model->mean_shape_.insert(model->mean_shape_.end(), mean, mean + n);
    }
    model->triangles_ = read_triangles(main.triangulation, n);
    model->predictors_ =
        std::make_unique<const Predictors>(main.predictor_list, fhog::length + model->geometry_length());
    model->files_ = {main_file, main.predictor_list, main.pdm, main.triangulation};
    const auto& files = model->predictors_->files();
    model->files_.insert(model->files_.end(), files.begin(), files.end());
    return model;
}

std::uint64_t FaceAnalyserModel::fingerprint() const {
    std::uint64_t hash = predictors_->weight_hash();
    for (int p = 0; p < predictors_->count(); ++p) {
        const Predictor& predictor = predictors_->predictor(p);
        const double numbers[] = {double(predictor.dynamic), predictor.cutoff, predictor.if_positive,
                                  predictor.otherwise, predictors_->offset(p)};
        hash = fnv1a(predictor.name.data(), predictor.name.size(), hash);
        hash = fnv1a(numbers, sizeof numbers, hash);
    }
    return hash;
}

}  // namespace openface
