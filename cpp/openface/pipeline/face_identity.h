// Who is who: trackers' faces in, identities out that survive a short loss, a crossing and a re-entry.
//
// OpenFace numbers its trackers, and a tracker takes whatever face comes next. Here every accepted face is
// compared with what is known of the people seen so far; docs/many-faces.md says how the decision is made.
// Decisions follow the order of the frames and of the trackers only: the same faces give the same identities.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "openface/pipeline/face_appearance.h"
#include "openface/pipeline/face_tracking.h"

namespace openface {

class FaceIdentity {
  public:
    explicit FaceIdentity(const Pdm& pdm) : describer_(pdm) {}

    // Replaces tracker indices by identities, in every frame of the video, in order. Faces whose identity is
    // not known yet are taken out. Returns the trackers that should start afresh, as they no longer show the
    // person that they followed nor anybody known.
    std::vector<int> name(const ViewU8& image, std::vector<FittedFace>& faces);
    void reset();
    // Forgets a person: a later appearance is somebody new. The identity is never given again.
    void forget(int identity);
    // The tracker that follows the person now, or -1.
    int slot_of(int identity) const;
    int known_people() const { return int(people_.size()); }

  private:
    struct Person {
        std::vector<Appearance> gallery;  // how the person has looked so far, differing views
        std::size_t newest = 0;           // of the gallery
        bool forgotten = false;
        float typical = 0.0f;  // running mean distance of the person's faces to the gallery
        Box box{};
        long seen = -1;  // last frame in which a face was accepted
    };
    struct Tracklet {  // one tracker's stretch of frames on one face
        int slot = -1;
        int person = -1;
        long accepted = -1;  // latest accepted frame
        int age = 0;         // accepted frames
        Appearance latest{};
        std::vector<Appearance> pending;  // faces seen while the person is in question
        std::size_t steady = 0;           // of these, the last that follow each other smoothly
        int waiting = 0;                  // how many there were in all
        float certainty = 1.0f;           // of the decision that named it
    };
    struct Sighting {  // one accepted face of the present frame
        std::size_t face;
        Tracklet* tracklet;
        Appearance appearance;
        Box box;
        float certainty;  // of the validator
        bool known = false;
    };

    static constexpr int glance_columns = 32, glance_rows = 24;
    using Glance = std::array<std::uint8_t, glance_columns * glance_rows>;

    void forget_places_of_cuts(const ViewU8& image);
    Tracklet& tracklet_of(int slot, bool starts_anew);
    float distance_to(const Person& person, const Appearance& appearance) const;
    bool stays(const Sighting& sighting) const;
    void settle(std::vector<Sighting>& sightings);
    bool match_one(std::vector<Sighting>& sightings);
    void add_newcomers(std::vector<Sighting>& sightings);
    void learn(const Sighting& sighting);
    bool held(int person, const std::vector<Sighting>& sightings) const;
    float dissimilarity(const Sighting& sighting, int person) const;
    void assign(Sighting& sighting, int person, float certainty);
    float confidence(const Tracklet& tracklet, const FaceState& state) const;

    AppearanceDescriber describer_;
    std::vector<Person> people_;
    std::vector<Tracklet> tracklets_;  // by slot
    Glance before_{};                  // pixels of the frame before
    long frame_ = 0;
};

}  // namespace openface
