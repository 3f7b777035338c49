#include "openface/face_analyser/predictors.h"

#include <algorithm>
#include <array>

#include "openface/face_analyser/hash.h"
#include "openface/face_analyser/predictor_kernels.h"
#include "openface/io/binary_reader.h"
#include "openface/io/file_bytes.h"
#include "openface/io/text_reader.h"

namespace openface {

namespace {

// The codes of models.md 15.3.
enum TypeCode { static_regressor = 0, dynamic_regressor = 1, static_classifier = 4, dynamic_classifier = 5 };

struct LoadedPredictor {
    Predictor predictor;
    int type = 0;
    AlignedVector<double> mean;
    AlignedVector<double> weights;
    double bias = 0.0;

    bool classifies() const { return type == static_classifier || type == dynamic_classifier; }
};

AlignedVector<double> read_vector(BinaryReader& reader, const char* field, int length) {
    Matrix<double> matrix = reader.read_double_matrix(field);
    if ((matrix.rows != 1 && matrix.cols != 1) || matrix.size() != std::size_t(length))
        reader.fail(field, "a matrix of " + std::to_string(matrix.rows) + " x " +
                               std::to_string(matrix.cols) + ", " + std::to_string(length) +
                               " elements in one row or column expected");
    return std::move(matrix.data);
}

double read_class(BinaryReader& reader, const char* field) {
    const double value = reader.read_double(field);
    if (value != 0.0 && value != 1.0) reader.fail(field, std::to_string(value) + " is neither 0 nor 1");
    return value;
}

LoadedPredictor read_predictor(const std::filesystem::path& path, std::string name, int feature_count) {
    BinaryReader reader(path);
    LoadedPredictor loaded;
    loaded.predictor.name = std::move(name);
    loaded.type = reader.read_int("predictor type");
    if (loaded.type != static_regressor && loaded.type != dynamic_regressor &&
        loaded.type != static_classifier && loaded.type != dynamic_classifier)
        reader.fail("predictor type", std::to_string(loaded.type) + " is none of 0, 1, 4, 5");
    loaded.predictor.dynamic = loaded.type == dynamic_regressor || loaded.type == dynamic_classifier;
    if (loaded.type == dynamic_regressor) {
        const double cutoff = reader.read_double("cutoff");
        if (cutoff != -1.0 && !(cutoff >= 0.0 && cutoff < 1.0))
            reader.fail("cutoff", std::to_string(cutoff) + " is neither -1 nor in [0, 1)");
        loaded.predictor.cutoff = cutoff;
    }
    loaded.mean = read_vector(reader, "means", feature_count);
    loaded.weights = read_vector(reader, "weights", feature_count);
    loaded.bias = reader.read_double("bias");
    if (loaded.classifies()) {
        loaded.predictor.if_positive = read_class(reader, "class above the threshold");
        loaded.predictor.otherwise = read_class(reader, "class below the threshold");
    }
    reader.expect_end();
    return loaded;
}

// Predictors of one type share the mean of the first one of that type in the list (a quirk of section 2).
void share_means(std::vector<LoadedPredictor>& loaded) {
    std::array<const LoadedPredictor*, 6> first{};
    for (LoadedPredictor& predictor : loaded) {
        const LoadedPredictor*& leader = first[std::size_t(predictor.type)];
        if (leader == nullptr)
            leader = &predictor;
        else
            predictor.mean = leader->mean;
    }
}

}  // namespace

Predictors::Predictors(const std::filesystem::path& list, int feature_count) : feature_count_(feature_count) {
    const auto refuse = [&](const ListingLine& line, const std::string& cause) {
        throw_model_error(list, "line " + std::to_string(line.number), cause);
    };
    std::vector<LoadedPredictor> loaded;
    std::string missing;
    const std::vector<ListingLine> lines = read_listing(list);
    if (lines.empty()) throw_model_error(list, "", "lists no predictor");
    if (lines.size() > 256) throw_model_error(list, "", "lists more than 256 predictors");
    for (const ListingLine& line : lines) {
        if (line.rest.empty()) refuse(line, "an action unit's name is missing after '" + line.keyword + "'");
        const bool printable =
            std::all_of(line.rest.begin(), line.rest.end(), [](char c) { return c > ' ' && c <= '~'; });
        if (!printable) refuse(line, "an action unit's name must be printable ASCII without blanks");
        if (line.rest.find(',') != std::string::npos)
            refuse(line, "several names for one predictor are not supported");
        files_.push_back(list.parent_path() / line.keyword);
        std::error_code code;
        if (!std::filesystem::is_regular_file(files_.back(), code)) missing += " " + line.keyword;
    }
    if (!missing.empty()) throw_model_error(list, "", "these files don't exist:" + missing);
    for (std::size_t i = 0; i < lines.size(); ++i) {
        loaded.push_back(read_predictor(files_[i], lines[i].rest, feature_count));
        for (std::size_t other = 0; other < i; ++other)
            if (loaded[other].predictor.name == lines[i].rest &&
                loaded[other].classifies() == loaded[i].classifies())
                refuse(lines[i], "a second predictor of the same kind for " + lines[i].rest);
    }
    share_means(loaded);

    std::stable_sort(loaded.begin(), loaded.end(), [](const LoadedPredictor& a, const LoadedPredictor& b) {
        return a.classifies() != b.classifies() ? b.classifies() : a.predictor.name < b.predictor.name;
    });
    blocks_ = padded(int(loaded.size())) / 8;
    const std::size_t stride = std::size_t(padded_count());
    weights_.assign(std::size_t(feature_count) * stride, 0.0);
    for (std::size_t p = 0; p < loaded.size(); ++p) {
        const LoadedPredictor& source = loaded[p];
        double mean_dot = 0.0;
        for (std::size_t f = 0; f < std::size_t(feature_count); ++f) {
            weights_[f * stride + p] = source.weights[f];
            mean_dot += source.mean[f] * source.weights[f];
        }
        offsets_.push_back(source.bias - mean_dot);
        any_dynamic_ = any_dynamic_ || source.predictor.dynamic;
        (source.classifies() ? presences_ : intensities_).push_back(source.predictor);
    }
}

const Predictor& Predictors::predictor(int p) const {
    const std::size_t i = std::size_t(p);
    return i < intensities_.size() ? intensities_[i] : presences_[i - intensities_.size()];
}

void Predictors::dots(const double* features, double* out) const {
    predictor_dots(weights_.data(), blocks_, features, feature_count_, out);
}

void Predictors::dots(const double* features, const double* medians, double* out, double* median_out) const {
    predictor_dots_of_two(weights_.data(), blocks_, features, medians, feature_count_, out, median_out);
}

std::uint64_t Predictors::weight_hash() const {
    return fnv1a(weights_.data(), weights_.size() * sizeof(double));
}

double Predictors::label(int presence, double decision) const {
    const Predictor& predictor = presences_[std::size_t(presence)];
    return decision > 0.0 ? predictor.if_positive : predictor.otherwise;
}

}  // namespace openface
