#include "openface/pipeline/face_identity.h"

#include <algorithm>
#include <cmath>

namespace openface {

namespace {

// Distances of appearance: see face_appearance.h.
constexpr float smooth_change = 0.25f;   // of one face in consecutive frames, the face alone
constexpr float same_person = 0.52f;     // a single look is enough
constexpr float boundary = 0.64f;        // between one person and two, for the mean of several looks
constexpr float new_person = 0.74f;      // surely beyond it
constexpr float plain_stranger = 0.80f;  // at a glance
constexpr float clear_margin = 0.05f;    // to the second best
constexpr float usurper_margin = 0.10f;  // by which somebody else must look better than the own gallery
constexpr float near_bonus = 0.12f;      // for a face where the person was just now
constexpr long near_frames = 30;
constexpr float surroundings = 1.5f;     // how far around a face to look for cuts, in its sizes
constexpr int changed_brightness = 24;   // of a pixel, in grey levels
constexpr float near_distance = 0.8f;    // of the face's size
constexpr float duplicate_share = 0.2f;  // of the smaller face, on one already named
constexpr int check_period = 4;          // accepted frames between comparisons with everybody
constexpr std::size_t several_looks = 3;
constexpr std::size_t many_looks = 8;
constexpr int long_look = 20, very_long_look = 30, last_look = 60;
constexpr float sure_certainty = 0.9f;  // of the validator: one look is enough for the first of all
constexpr float learning_certainty = 0.8f;
constexpr float novel_view = 0.2f;
constexpr std::size_t gallery_size = 24;
constexpr long same_stretch = 3;  // frames between two looks that count as consecutive

bool near_to(const Box& a, const Box& b) {
    const float size = std::max(std::max(a.width, a.height), std::max(b.width, b.height));
    return std::fabs(a.x + a.width / 2 - b.x - b.width / 2) < near_distance * size &&
           std::fabs(a.y + a.height / 2 - b.y - b.height / 2) < near_distance * size;
}

// The part of the smaller box that the other covers.
float covered(const Box& a, const Box& b) {
    const float width = std::min(a.x + a.width, b.x + b.width) - std::max(a.x, b.x);
    const float height = std::min(a.y + a.height, b.y + b.height) - std::max(a.y, b.y);
    if (!(width > 0.0f && height > 0.0f)) return 0.0f;
    return width * height / std::min(a.width * a.height, b.width * b.height);
}

// From 0 to 1, 0.5 at 0.
float rise(float x) {
    return 0.5f + 0.5f * x / std::sqrt(1.0f + x * x);
}

}  // namespace

// Where the picture changed altogether since the frame before, as at a cut, nobody's place says anything
// about who is there now. People that run past change less than half of a face's surroundings at a time.
void FaceIdentity::forget_places_of_cuts(const ViewU8& image) {
    const auto brightness_at = [&](int column, int row) {
        const int x = (2 * column + 1) * image.width / (2 * glance_columns);
        const int y = (2 * row + 1) * image.height / (2 * glance_rows);
        return image.row(y)[x * image.channels + (image.channels > 1 ? 1 : 0)];
    };
    Glance now;
    for (int row = 0; row < glance_rows; ++row)
        for (int column = 0; column < glance_columns; ++column)
            now[std::size_t(row * glance_columns + column)] = brightness_at(column, row);
    for (Person& person : people_) {
        if (person.seen < 0 || frame_ - person.seen > near_frames) continue;
        const Box& box = person.box;
        const float size = surroundings * std::max(box.width, box.height);
        const float middle_x = box.x + box.width / 2, middle_y = box.y + box.height / 2;
        int changed = 0, all = 0;
        for (int row = 0; row < glance_rows; ++row)
            for (int column = 0; column < glance_columns; ++column) {
                const float x = (float(column) + 0.5f) * float(image.width) / glance_columns;
                const float y = (float(row) + 0.5f) * float(image.height) / glance_rows;
                if (std::fabs(x - middle_x) > size || std::fabs(y - middle_y) > size) continue;
                const std::size_t i = std::size_t(row * glance_columns + column);
                changed += std::abs(int(now[i]) - int(before_[i])) > changed_brightness;
                ++all;
            }
        if (2 * changed > all) person.seen = -1;
    }
    before_ = now;
}

void FaceIdentity::reset() {
    people_.clear();
    tracklets_.clear();
    frame_ = 0;
}

void FaceIdentity::forget(int identity) {
    if (identity < 0 || identity >= known_people()) return;
    people_[std::size_t(identity)].forgotten = true;
    people_[std::size_t(identity)].gallery.clear();
    for (Tracklet& tracklet : tracklets_)
        if (tracklet.person == identity) tracklet.person = -1;
}

int FaceIdentity::slot_of(int identity) const {
    for (const Tracklet& tracklet : tracklets_)
        if (identity >= 0 && tracklet.person == identity) return tracklet.slot;
    return -1;
}

FaceIdentity::Tracklet& FaceIdentity::tracklet_of(int slot, bool starts_anew) {
    if (tracklets_.size() <= std::size_t(slot)) tracklets_.resize(std::size_t(slot) + 1);
    Tracklet& tracklet = tracklets_[std::size_t(slot)];
    if (starts_anew || tracklet.slot < 0) {
        tracklet = Tracklet{};
        tracklet.slot = slot;
    }
    return tracklet;
}

float FaceIdentity::distance_to(const Person& person, const Appearance& appearance) const {
    float least = 2.0f;  // beyond any
    for (const Appearance& view : person.gallery) least = std::min(least, distance(view, appearance));
    return least;
}

// Whether a named tracker still shows the same person. A face that changes smoothly is only compared with
// the other people now and then; one that jumps must look like its person.
bool FaceIdentity::stays(const Sighting& sighting) const {
    const Tracklet& tracklet = *sighting.tracklet;
    const bool smooth = tracklet.pending.empty() && frame_ - tracklet.accepted <= same_stretch &&
                        face_distance(tracklet.latest, sighting.appearance) <= smooth_change;
    if (smooth && tracklet.age % check_period != 0) return true;
    const float own = distance_to(people_[std::size_t(tracklet.person)], sighting.appearance);
    float other = 2.0f;
    for (int k = 0; k < known_people(); ++k)
        if (k != tracklet.person)
            other = std::min(other, distance_to(people_[std::size_t(k)], sighting.appearance));
    if (smooth) return !(other <= same_person && other < own - usurper_margin);
    return own <= boundary && own <= other + clear_margin;
}

bool FaceIdentity::held(int person, const std::vector<Sighting>& sightings) const {
    return std::any_of(sightings.begin(), sightings.end(), [&](const Sighting& sighting) {
        return sighting.known && sighting.tracklet->person == person;
    });
}

// How little the face in question looks like the person: the mean of the better half of its looks, since
// blurred ones resemble nobody, less for a face at the place where the person was just now.
float FaceIdentity::dissimilarity(const Sighting& sighting, int person) const {
    const Person& candidate = people_[std::size_t(person)];
    std::vector<float> distances;
    for (const Appearance& appearance : sighting.tracklet->pending)
        distances.push_back(distance_to(candidate, appearance));
    std::sort(distances.begin(), distances.end());
    const std::size_t half = (distances.size() + 1) / 2;
    float mean = 0.0f;
    for (std::size_t i = 0; i < half; ++i) mean += distances[i] / float(half);
    // Where a face has just become another one (a cut), the place says nothing.
    const bool near = sighting.tracklet->person < 0 && candidate.seen >= 0 &&
                      frame_ - candidate.seen <= near_frames && near_to(candidate.box, sighting.box);
    return near ? mean - near_bonus : mean;
}

void FaceIdentity::assign(Sighting& sighting, int person, float certainty) {
    for (Tracklet& tracklet : tracklets_)
        if (tracklet.person == person) tracklet.person = -1;
    sighting.tracklet->person = person;
    sighting.tracklet->certainty = certainty;
    sighting.known = true;
}

// Names the one face in question that resembles a person most, if it does so enough. Returns whether it did.
bool FaceIdentity::match_one(std::vector<Sighting>& sightings) {
    Sighting* best_sighting = nullptr;
    int best_person = -1;
    float best = 2.0f, best_margin = 0.0f;
    for (Sighting& sighting : sightings) {
        if (sighting.known) continue;
        float first = 2.0f, second = 2.0f;
        int person = -1;
        for (int k = 0; k < known_people(); ++k) {
            if (people_[std::size_t(k)].forgotten || held(k, sightings)) continue;
            const float d = dissimilarity(sighting, k);
            if (d < first) {
                second = first;
                first = d;
                person = k;
            } else {
                second = std::min(second, d);
            }
        }
        const std::size_t looks = sighting.tracklet->pending.size();
        const bool several = looks >= several_looks;
        const bool long_looked = sighting.tracklet->waiting >= long_look;
        const float limit = long_looked ? new_person : several ? boundary : same_person;
        const bool alike = first <= limit;
        const bool clear = (several && first <= boundary) || second - first >= clear_margin;
        if (person < 0 || !alike || !clear || first >= best) continue;
        best_sighting = &sighting;
        best_person = person;
        best = first;
        best_margin = second - first;
    }
    if (best_sighting == nullptr) return false;
    assign(*best_sighting, best_person,
           std::min(rise((boundary - best) / 0.05f), rise((best_margin + clear_margin) / 0.05f)));
    return true;
}

void FaceIdentity::add_newcomers(std::vector<Sighting>& sightings) {
    for (Sighting& sighting : sightings) {
        if (sighting.known || sighting.tracklet->person >= 0) continue;
        const bool on_named_face =
            std::any_of(sightings.begin(), sightings.end(), [&](const Sighting& named) {
                return named.known && covered(named.box, sighting.box) > duplicate_share;
            });
        if (on_named_face) continue;
        float least = 2.0f;
        for (int k = 0; k < known_people(); ++k)
            if (!people_[std::size_t(k)].forgotten && !held(k, sightings))
                least = std::min(least, dissimilarity(sighting, k));
        const Tracklet& tracklet = *sighting.tracklet;
        const bool nobody_missing =
            least == 2.0f && (tracklet.steady >= several_looks || sighting.certainty >= sure_certainty);
        const bool stranger =
            least > plain_stranger && sighting.certainty >= sure_certainty && tracklet.steady >= many_looks;
        const bool unlike_anybody = least > new_person && tracklet.waiting >= very_long_look;
        if (!(nobody_missing || stranger || unlike_anybody || tracklet.waiting >= last_look)) continue;
        people_.emplace_back();
        assign(sighting, known_people() - 1, least == 2.0f ? 1.0f : rise((least - boundary) / 0.05f));
    }
}

void FaceIdentity::settle(std::vector<Sighting>& sightings) {
    for (Sighting& sighting : sightings) {
        std::vector<Appearance>& pending = sighting.tracklet->pending;
        Tracklet& tracklet = *sighting.tracklet;
        if (sighting.known) {
            pending.clear();
            tracklet.steady = 0;
            tracklet.waiting = 0;
            continue;
        }
        const bool smooth =
            !pending.empty() && face_distance(pending.back(), sighting.appearance) <= smooth_change;
        tracklet.steady = smooth ? tracklet.steady + 1 : 1;
        ++tracklet.waiting;
        if (pending.size() == many_looks) pending.erase(pending.begin());
        pending.push_back(sighting.appearance);
    }
    while (match_one(sightings)) {
    }
    add_newcomers(sightings);
}

void FaceIdentity::learn(const Sighting& sighting) {
    Tracklet& tracklet = *sighting.tracklet;
    tracklet.latest = sighting.appearance;
    tracklet.accepted = frame_;
    const bool due = tracklet.age++ % check_period == 0;
    if (tracklet.person < 0 || !sighting.known) return;
    tracklet.pending.clear();
    tracklet.steady = 0;
    tracklet.waiting = 0;
    Person& person = people_[std::size_t(tracklet.person)];
    person.box = sighting.box;
    person.seen = frame_;
    if (!person.gallery.empty() && (!due || sighting.certainty < learning_certainty)) return;
    const float d = person.gallery.empty() ? 0.0f : distance_to(person, sighting.appearance);
    person.typical += 0.2f * (d - person.typical);
    if (!person.gallery.empty() && d < novel_view) return;
    for (int k = 0; k < known_people(); ++k)  // a view that suits somebody else as well teaches nothing
        if (k != tracklet.person && !person.gallery.empty() &&
            distance_to(people_[std::size_t(k)], sighting.appearance) < d)
            return;
    if (person.gallery.size() < gallery_size) {
        person.gallery.push_back(sighting.appearance);
        return;
    }
    // The first view stays; the others are replaced in turn.
    person.newest = person.newest % (gallery_size - 1) + 1;
    person.gallery[person.newest] = sighting.appearance;
}

float FaceIdentity::confidence(const Tracklet& tracklet, const FaceState& state) const {
    const Person& person = people_[std::size_t(tracklet.person)];
    float value = std::min(tracklet.certainty, rise((boundary - person.typical) / 0.1f));
    for (int i = 0; i <= state.failures; ++i) value *= 0.8f;
    return value;
}

std::vector<int> FaceIdentity::name(const ViewU8& image, std::vector<FittedFace>& faces) {
    forget_places_of_cuts(image);
    std::vector<bool> present(tracklets_.size(), false);
    for (const FittedFace& face : faces) {
        tracklet_of(face.id, face.new_face);
        if (std::size_t(face.id) < present.size()) present[std::size_t(face.id)] = true;
    }
    for (std::size_t slot = 0; slot < present.size(); ++slot)
        if (!present[slot]) tracklets_[slot] = Tracklet{};

    std::vector<Sighting> sightings;
    for (std::size_t i = 0; i < faces.size(); ++i) {
        const FaceState& state = faces[i].state;
        Sighting sighting{
            i, &tracklets_[std::size_t(faces[i].id)], {}, landmark_box(state.face), state.certainty};
        if (state.ok &&
            describer_.describe(image, state.face.landmarks.data(), state.face.global, sighting.appearance))
            sightings.push_back(sighting);
    }
    for (Sighting& sighting : sightings) sighting.known = sighting.tracklet->person >= 0 && stays(sighting);
    settle(sightings);
    for (const Sighting& sighting : sightings) learn(sighting);

    // A tracker whose face became another's and is nobody known has been carried over a cut or dragged away.
    std::vector<int> astray;
    for (const Sighting& sighting : sightings)
        if (!sighting.known && sighting.tracklet->person >= 0 &&
            sighting.tracklet->pending.size() >= several_looks)
            astray.push_back(sighting.tracklet->slot);

    // A face in question is taken out, one whose fit was rejected keeps the name that its tracker has.
    std::vector<bool> named(faces.size(), true);
    for (const Sighting& sighting : sightings) named[sighting.face] = sighting.known;
    std::vector<FittedFace> kept;
    for (std::size_t i = 0; i < faces.size(); ++i) {
        FittedFace& face = faces[i];
        const Tracklet& tracklet = tracklets_[std::size_t(face.id)];
        if (!named[i] || tracklet.person < 0 || !tracklet.pending.empty()) continue;
        face.identity_confidence = confidence(tracklet, face.state);
        face.id = tracklet.person;
        kept.push_back(std::move(face));
    }
    faces = std::move(kept);
    for (const int slot : astray) tracklets_[std::size_t(slot)] = Tracklet{};
    ++frame_;
    return astray;
}

}  // namespace openface
