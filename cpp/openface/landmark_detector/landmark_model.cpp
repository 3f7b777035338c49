#include "openface/landmark_detector/landmark_model.h"

#include <algorithm>
#include <charconv>
#include <sstream>

#include "openface/core/error.h"
#include "openface/io/file_bytes.h"
#include "openface/io/text_reader.h"
#include "openface/patch_experts/ccnf.h"
#include "openface/patch_experts/cen_experts.h"
#include "openface/patch_experts/svr_experts.h"

namespace openface {

namespace fs = std::filesystem;

namespace {

std::string at_line(const ListingLine& line) {
    return "line " + std::to_string(line.number);
}

std::string first_token(const std::string& text) {
    return text.substr(0, text.find_first_of(" \t"));
}

// What a listing names (models.md, section 6).
struct Listing {
    fs::path path;
    fs::path pdm;
    std::vector<fs::path> ccnf, svr, cen;
    fs::path early_termination;

    std::vector<fs::path> files() const {
        std::vector<fs::path> all{pdm};
        for (const auto* kind : {&ccnf, &svr, &cen}) all.insert(all.end(), kind->begin(), kind->end());
        if (!early_termination.empty()) all.push_back(early_termination);
        return all;
    }
};

Listing read_detector_listing(const fs::path& path) {
    Listing listing;
    listing.path = path;
    for (const ListingLine& line : read_listing(path)) {
        const fs::path file = path.parent_path() / line.rest;
        const auto once = [&](fs::path& slot) {
            if (!slot.empty()) throw_model_error(path, at_line(line), "a second " + line.keyword + " line");
            slot = file;
        };
        if (line.keyword == "PDM")
            once(listing.pdm);
        else if (line.keyword == "EarlyTermination")
            once(listing.early_termination);
        else if (line.keyword == "PatchesCCNF")
            listing.ccnf.push_back(file);
        else if (line.keyword == "PatchesIntensity")
            listing.svr.push_back(file);
        else if (line.keyword == "PatchesCEN")
            listing.cen.push_back(file);
    }
    if (listing.pdm.empty()) throw_model_error(path, "", "names no point distribution model (PDM)");
    if (listing.ccnf.empty() && listing.svr.empty() && listing.cen.empty())
        throw_model_error(path, "", "names no patch experts");
    return listing;
}

// What a main file names (models.md, section 5).
struct MainFile {
    struct Part {
        fs::path main_file;
        std::string name;
        std::vector<std::pair<int, int>> landmarks;
        int line = 0;
    };
    fs::path listing;
    fs::path validator;
    std::vector<Part> parts;
};

MainFile::Part read_part_line(const fs::path& path, const ListingLine& line) {
    std::istringstream words(line.rest);
    MainFile::Part part;
    part.line = line.number;
    std::string file;
    words >> file >> part.name;
    if (file.empty() || part.name.empty())
        throw_model_error(path, at_line(line), "a part needs a file and a name");
    part.main_file = path.parent_path() / file;
    std::vector<int> indices;
    for (std::string word; words >> word;) {
        int value = 0;
        const auto [end, code] = std::from_chars(word.data(), word.data() + word.size(), value);
        if (code != std::errc() || end != word.data() + word.size())
            throw_model_error(path, at_line(line), "'" + word + "' is not a landmark index");
        indices.push_back(value);
    }
    if (indices.empty() || indices.size() % 2 != 0)
        throw_model_error(path, at_line(line), "landmark correspondences must come in pairs");
    for (std::size_t i = 0; i < indices.size(); i += 2)
        part.landmarks.emplace_back(indices[i], indices[i + 1]);
    return part;
}

MainFile read_main_file(const fs::path& path) {
    MainFile main;
    for (const ListingLine& line : read_listing(path)) {
        const fs::path file = path.parent_path() / first_token(line.rest);
        const auto once = [&](fs::path& slot) {
            if (!slot.empty()) throw_model_error(path, at_line(line), "a second " + line.keyword + " line");
            if (line.rest.empty()) throw_model_error(path, at_line(line), line.keyword + " names no file");
            slot = file;
        };
        if (line.keyword == "LandmarkDetector")
            once(main.listing);
        else if (line.keyword == "DetectionValidator")
            once(main.validator);
        else if (line.keyword == "LandmarkDetector_part")
            main.parts.push_back(read_part_line(path, line));
    }
    if (main.listing.empty()) throw_model_error(path, "", "has no LandmarkDetector line");
    return main;
}

void require_files(const fs::path& main_file, const std::vector<fs::path>& files) {
    std::string missing;
    for (const fs::path& file : files) {
        std::error_code ignored;
        if (!fs::is_regular_file(file, ignored))
            missing += (missing.empty() ? "'" : ", '") + file.string() + "'";
    }
    if (!missing.empty()) throw_model_error(main_file, "", "names files that do not exist: " + missing);
}

ShapeModel load_shape_model(const Listing& listing) {
    ShapeModel model;
    model.pdm = Pdm::load(listing.pdm);
    const int n = model.pdm->landmark_count();
    // The reference prefers CEN over CCNF over SVR where a listing names several kinds.
    if (!listing.cen.empty())
        model.experts = CenExperts::load(listing.cen, n);
    else if (!listing.ccnf.empty())
        model.experts = CcnfExperts::load(listing.ccnf, n);
    else
        model.experts = SvrExperts::load(listing.svr, n);
    return model;
}

PartModel load_part(const fs::path& main_file, const MainFile::Part& entry, const Listing& listing,
                    int face_landmarks) {
    PartModel part{entry.name, load_shape_model(listing), part_parameters(entry.name), entry.landmarks};
    for (const auto& [face, own] : part.landmarks)
        if (face < 0 || face >= face_landmarks || own < 0 || own >= part.model.pdm->landmark_count())
            throw_model_error(main_file, "line " + std::to_string(entry.line),
                              "correspondence " + std::to_string(face) + " " + std::to_string(own) +
                                  " names a landmark that does not exist");
    return part;
}

}  // namespace

std::shared_ptr<const LandmarkModel> LandmarkModel::load(const fs::path& main_file) {
    const MainFile main = read_main_file(main_file);
    std::vector<fs::path> first{main.listing};
    for (const MainFile::Part& part : main.parts) first.push_back(part.main_file);
    if (!main.validator.empty()) first.push_back(main.validator);
    require_files(main_file, first);

    // A part's own parts and validator are never evaluated, so only its listing counts.
    std::vector<fs::path> part_listings;
    for (const MainFile::Part& part : main.parts)
        part_listings.push_back(read_main_file(part.main_file).listing);
    require_files(main_file, part_listings);
    const Listing listing = read_detector_listing(main.listing);
    std::vector<Listing> parts;
    std::vector<fs::path> files = listing.files();
    for (const fs::path& path : part_listings) {
        parts.push_back(read_detector_listing(path));
        const std::vector<fs::path> more = parts.back().files();
        files.insert(files.end(), more.begin(), more.end());
    }
    require_files(main_file, files);

    auto model = std::make_shared<LandmarkModel>();
    model->stem = main_file.stem().string();
    model->face = load_shape_model(listing);
    const int n = model->face.pdm->landmark_count();
    for (std::size_t i = 0; i < parts.size(); ++i) {
        model->parts.push_back(load_part(main_file, main.parts[i], parts[i], n));
        if (model->parts.back().model.pdm->landmark_count() != 28) continue;
        if (model->parts.back().name == "left_eye_28") model->left_eye_part = int(i);
        if (model->parts.back().name == "right_eye_28") model->right_eye_part = int(i);
    }
    if (!main.validator.empty()) model->validator = Validator::load(main.validator, n);
    if (!listing.early_termination.empty())
        model->early_termination = EarlyTermination::load(
            listing.early_termination, int(model->face.experts->scales().front().views.size()));
    return model;
}

}  // namespace openface
