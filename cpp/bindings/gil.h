// GilReleased: work without Python's global lock, also by threads that are still busy when Python exits.
//
// A daemon thread that asks for the lock of an interpreter that is going away is ended by it in a way that
// C++ can't survive (std::terminate). So once Python's exit begins, threads that come back from the engine
// stay where they are until the process is gone, as Python 3.14 does by itself.
#pragma once

#include <pybind11/pybind11.h>

namespace pyopenface {

class GilReleased {
  public:
    GilReleased();
    ~GilReleased();
    GilReleased(const GilReleased&) = delete;
    GilReleased& operator=(const GilReleased&) = delete;

  private:
    PyThreadState* state_;
};

// Has Python's atexit module announce the exit.
void register_exit(pybind11::module_& module);

}  // namespace pyopenface
