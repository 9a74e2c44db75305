;; Digests of pages, algorithm nh128 of docs/format.md section 15: NH of UMAC (RFC 4418) four times under a shifted key, then four
;; multilinear hashes of what that gives. page-hash-module.ts holds this module assembled; a test compares the two.
(module
  (import "pages" "memory" (memory 1 65536 shared))
  ;; `$count` pages of `$size` bytes from `$at` on, the key at `$key`, 16 bytes a page to `$out`. `$size` is a multiple of 32.
  (func (export "digest") (param $at i32) (param $count i32) (param $size i32) (param $key i32) (param $out i32)
    (local $end i32) (local $k i32) (local $s i32)
    (local $a v128) (local $b v128) (local $x v128) (local $y v128)
    (local $k0 v128) (local $k1 v128) (local $k2 v128) (local $k3 v128) (local $k4 v128)
    (local $n0 v128) (local $n1 v128) (local $n2 v128) (local $n3 v128)
    (local $h0 i64) (local $h1 i64) (local $h2 i64) (local $h3 i64)
    (block $done
      (loop $page
        (br_if $done (i32.eqz (local.get $count)))
        (local.set $count (i32.sub (local.get $count) (i32.const 1)))
        (local.set $n0 (v128.const i64x2 0 0))
        (local.set $n1 (v128.const i64x2 0 0))
        (local.set $n2 (v128.const i64x2 0 0))
        (local.set $n3 (v128.const i64x2 0 0))
        (local.set $k0 (v128.load (local.get $key)))
        (local.set $k1 (v128.load offset=16 (local.get $key)))
        (local.set $k2 (v128.load offset=32 (local.get $key)))
        (local.set $k (local.get $key))
        (local.set $end (i32.add (local.get $at) (local.get $size)))
        (loop $words
          (local.set $a (v128.load (local.get $at)))
          (local.set $b (v128.load offset=16 (local.get $at)))
          (local.set $k3 (v128.load offset=48 (local.get $k)))
          (local.set $k4 (v128.load offset=64 (local.get $k)))
          (local.set $x (i32x4.add (local.get $a) (local.get $k0)))
          (local.set $y (i32x4.add (local.get $b) (local.get $k1)))
          (local.set $n0 (i64x2.add (local.get $n0) (i64x2.add
            (i64x2.extmul_low_i32x4_u (local.get $x) (local.get $y))
            (i64x2.extmul_high_i32x4_u (local.get $x) (local.get $y)))))
          (local.set $x (i32x4.add (local.get $a) (local.get $k1)))
          (local.set $y (i32x4.add (local.get $b) (local.get $k2)))
          (local.set $n1 (i64x2.add (local.get $n1) (i64x2.add
            (i64x2.extmul_low_i32x4_u (local.get $x) (local.get $y))
            (i64x2.extmul_high_i32x4_u (local.get $x) (local.get $y)))))
          (local.set $x (i32x4.add (local.get $a) (local.get $k2)))
          (local.set $y (i32x4.add (local.get $b) (local.get $k3)))
          (local.set $n2 (i64x2.add (local.get $n2) (i64x2.add
            (i64x2.extmul_low_i32x4_u (local.get $x) (local.get $y))
            (i64x2.extmul_high_i32x4_u (local.get $x) (local.get $y)))))
          (local.set $x (i32x4.add (local.get $a) (local.get $k3)))
          (local.set $y (i32x4.add (local.get $b) (local.get $k4)))
          (local.set $n3 (i64x2.add (local.get $n3) (i64x2.add
            (i64x2.extmul_low_i32x4_u (local.get $x) (local.get $y))
            (i64x2.extmul_high_i32x4_u (local.get $x) (local.get $y)))))
          (local.set $k0 (local.get $k2))
          (local.set $k1 (local.get $k3))
          (local.set $k2 (local.get $k4))
          (local.set $k (i32.add (local.get $k) (i32.const 32)))
          (local.set $at (i32.add (local.get $at) (i32.const 32)))
          (br_if $words (i32.lt_u (local.get $at) (local.get $end))))
        (local.set $h0 (i64.add (i64x2.extract_lane 0 (local.get $n0)) (i64x2.extract_lane 1 (local.get $n0))))
        (local.set $h1 (i64.add (i64x2.extract_lane 0 (local.get $n1)) (i64x2.extract_lane 1 (local.get $n1))))
        (local.set $h2 (i64.add (i64x2.extract_lane 0 (local.get $n2)) (i64x2.extract_lane 1 (local.get $n2))))
        (local.set $h3 (i64.add (i64x2.extract_lane 0 (local.get $n3)) (i64x2.extract_lane 1 (local.get $n3))))
        ;; $k has moved on by the size of a page: 64 bytes behind it begin the keys of the four hashes.
        (local.set $s (i32.const 4))
        (loop $fold
          (i32.store (local.get $out) (i32.wrap_i64 (i64.shr_u
            (i64.add (i64.load offset=128 (local.get $k))
            (i64.add
              (i64.add
                (i64.add (i64.mul (i64.and (local.get $h0) (i64.const 0xffffffff)) (i64.load offset=64 (local.get $k)))
                         (i64.mul (i64.shr_u (local.get $h0) (i64.const 32)) (i64.load offset=72 (local.get $k))))
                (i64.add (i64.mul (i64.and (local.get $h1) (i64.const 0xffffffff)) (i64.load offset=80 (local.get $k)))
                         (i64.mul (i64.shr_u (local.get $h1) (i64.const 32)) (i64.load offset=88 (local.get $k)))))
              (i64.add
                (i64.add (i64.mul (i64.and (local.get $h2) (i64.const 0xffffffff)) (i64.load offset=96 (local.get $k)))
                         (i64.mul (i64.shr_u (local.get $h2) (i64.const 32)) (i64.load offset=104 (local.get $k))))
                (i64.add (i64.mul (i64.and (local.get $h3) (i64.const 0xffffffff)) (i64.load offset=112 (local.get $k)))
                         (i64.mul (i64.shr_u (local.get $h3) (i64.const 32)) (i64.load offset=120 (local.get $k)))))))
            (i64.const 32))))
          (local.set $k (i32.add (local.get $k) (i32.const 72)))
          (local.set $out (i32.add (local.get $out) (i32.const 4)))
          (local.set $s (i32.sub (local.get $s) (i32.const 1)))
          (br_if $fold (local.get $s)))
        (br $page)))))
