// SPDX-License-Identifier: Apache-2.0

// Functions of a vector beyond those of vector.hpp, the same in every lane.
#pragma once

#include "plugins/kernels/simd/isa/vector.hpp"

namespace perdure::simd::PERDURE_ISA {
namespace {

// A short odd polynomial near zero, where 1 - exp would cancel; (1 - e) / (1 + e) with e = exp(-2
// |x|) elsewhere.
inline Batch hyperbolic_tangent(Batch x) {
  const Batch magnitude = xsimd::abs(x);
  const Batch square = x * x;
  Batch p = fma(Batch(-5.70498872745e-3f), square, Batch(2.06390887954e-2f));
  p = fma(p, square, Batch(-5.37397155531e-2f));
  p = fma(p, square, Batch(1.33314422036e-1f));
  p = fma(p, square, Batch(-3.33332819422e-1f));
  const Batch near = fma(p * square, x, x);
  const Batch e = exponential(magnitude * Batch(-2.0f));
  const Batch far = (Batch(1.0f) - e) / (Batch(1.0f) + e);
  const Batch signed_far = xsimd::select(x < Batch(0.0f), -far, far);
  return xsimd::select(magnitude < Batch(0.625f), near, signed_far);
}

// erf within 2 units in the last place: an odd polynomial below 475/512, 1 - exp(polynomial in |x|)
// from there on.
inline Batch error_function(Batch x) {
  const Batch magnitude = xsimd::abs(x);
  const Batch square = x * x;
  Batch p = fma(Batch(-5.96761703e-4f), square, Batch(4.99119423e-3f));
  p = fma(p, square, Batch(-2.67681349e-2f));
  p = fma(p, square, Batch(1.12819925e-1f));
  p = fma(p, square, Batch(-3.76125336e-1f));
  p = fma(p, square, Batch(1.28379166e-1f));
  const Batch near = fma(p, x, x);
  Batch q = fma(Batch(-1.72853470e-5f), magnitude, Batch(3.83197126e-4f));
  q = fma(q, square, fma(Batch(-3.88396438e-3f), magnitude, Batch(2.42546219e-2f)));
  q = fma(q, magnitude, Batch(-1.06777877e-1f));
  q = fma(q, magnitude, Batch(-6.34846687e-1f));
  q = fma(q, magnitude, Batch(-1.28717512e-1f));
  q = fma(q, magnitude, -magnitude);
  const Batch far = Batch(1.0f) - exponential(q);
  const Batch signed_far = xsimd::select(x < Batch(0.0f), -far, far);
  return xsimd::select(magnitude > Batch(0.927734375f), signed_far, near);
}

}  // namespace
}  // namespace perdure::simd::PERDURE_ISA
