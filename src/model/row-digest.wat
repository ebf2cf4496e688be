;; The inner loop of RowDigest, version 1 (row-digest.ts says what that is, and what it promises).
;;
;; For every row (the bytes between newlines) it takes XXH64 with two seeds, 0 and "coffre" in ASCII, and adds
;; each to a sum mod 2^64. The two hashes run side by side: they share every load and every product of input
;; and prime, which is a third of the work. XXH64 is written after its specification, version 0.1.1
;; (https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md); $a and its kin belong to seed 0, $b to the other.
;;
;; A row that lies wholly inside one scan is hashed where it lies ($digest). A row that does not is gathered
;; ($gather): stripes of 32 bytes go into the accumulators kept in memory, fewer than 32 bytes wait for more.
;; So memory is bounded whatever a row's width.
;;
;; Memory: the first 64 KiB are for this module, what follows is the caller's.
;;     0 .. 31   the unfinished row's bytes that do not fill a stripe yet
;;    32 .. 95   the unfinished row's accumulators, four of each seed
;; The newline search reads 64 bytes at a time, so up to 63 bytes behind the scanned range must exist; what they
;; hold does not matter.
;;
;; After a change: npm run build:wasm
(module
  (memory (export "memory") 2)

  (global $rows (mut i64) (i64.const 0))
  (global $low (mut i64) (i64.const 0))
  (global $high (mut i64) (i64.const 0))
  ;; How many bytes of the unfinished row were gathered; 0 is no unfinished row, for an empty one cannot be seen.
  (global $gathered (mut i64) (i64.const 0))

  (func (export "rows") (result i64) (global.get $rows))
  (func (export "low") (result i64) (global.get $low))
  (func (export "high") (result i64) (global.get $high))
  (func (export "pending") (result i32) (i64.ne (global.get $gathered) (i64.const 0)))

  (func (export "reset")
    (global.set $rows (i64.const 0))
    (global.set $low (i64.const 0))
    (global.set $high (i64.const 0))
    (global.set $gathered (i64.const 0)))

  ;; Digests the bytes from $row to $row + $length, which go on where the last scan ended.
  (func (export "scan") (param $row i32) (param $length i32)
    (local $end i32) (local $block i32) (local $newline i32) (local $newlines i64)
    (local.set $end (i32.add (local.get $row) (local.get $length)))
    (local.set $block (local.get $row))
    (block $scanned
      (loop $next_block
        (br_if $scanned (i32.ge_u (local.get $block) (local.get $end)))
        (local.set $newlines (call $newlines (local.get $block)))
        (if (i32.lt_u (i32.sub (local.get $end) (local.get $block)) (i32.const 64))
          (then ;; forget what lies behind the end
            (local.set $newlines
              (i64.and (local.get $newlines)
                (i64.sub
                  (i64.shl (i64.const 1) (i64.extend_i32_u (i32.sub (local.get $end) (local.get $block))))
                  (i64.const 1))))))
        (block $no_more
          (loop $next_row
            (br_if $no_more (i64.eqz (local.get $newlines)))
            (local.set $newline (i32.add (local.get $block) (i32.wrap_i64 (i64.ctz (local.get $newlines)))))
            (if (i64.eqz (global.get $gathered))
              (then
                (call $digest (local.get $row) (local.get $newline)
                  (i64.extend_i32_u (i32.sub (local.get $newline) (local.get $row)))))
              (else
                (call $gather (local.get $row) (local.get $newline))
                (call $digest (i32.const 0)
                  (i32.and (i32.wrap_i64 (global.get $gathered)) (i32.const 31))
                  (global.get $gathered))
                (global.set $gathered (i64.const 0))))
            (local.set $row (i32.add (local.get $newline) (i32.const 1)))
            (local.set $newlines (i64.and (local.get $newlines) (i64.sub (local.get $newlines) (i64.const 1))))
            (br $next_row)))
        (local.set $block (i32.add (local.get $block) (i32.const 64)))
        (br $next_block)))
    (if (i32.lt_u (local.get $row) (local.get $end))
      (then (call $gather (local.get $row) (local.get $end)))))

  ;; Which of the 64 bytes at $at are newlines: bit n for byte n.
  (func $newlines (param $at i32) (result i64)
    (i64.or
      (i64.or
        (i64.extend_i32_u (i8x16.bitmask (i8x16.eq (v128.load (local.get $at)) (i8x16.splat (i32.const 10)))))
        (i64.shl
          (i64.extend_i32_u
            (i8x16.bitmask (i8x16.eq (v128.load offset=16 (local.get $at)) (i8x16.splat (i32.const 10)))))
          (i64.const 16)))
      (i64.or
        (i64.shl
          (i64.extend_i32_u
            (i8x16.bitmask (i8x16.eq (v128.load offset=32 (local.get $at)) (i8x16.splat (i32.const 10)))))
          (i64.const 32))
        (i64.shl
          (i64.extend_i32_u
            (i8x16.bitmask (i8x16.eq (v128.load offset=48 (local.get $at)) (i8x16.splat (i32.const 10)))))
          (i64.const 48)))))

  ;; Takes the bytes from $at to $end into the unfinished row.
  (func $gather (param $at i32) (param $end i32)
    (local $waiting i32) (local $taken i32)
    (if (i64.eqz (global.get $gathered)) (then (call $start)))
    (local.set $waiting (i32.and (i32.wrap_i64 (global.get $gathered)) (i32.const 31)))
    (global.set $gathered
      (i64.add (global.get $gathered) (i64.extend_i32_u (i32.sub (local.get $end) (local.get $at)))))
    (if (local.get $waiting)
      (then
        (local.set $taken (i32.sub (i32.const 32) (local.get $waiting)))
        (if (i32.gt_u (local.get $taken) (i32.sub (local.get $end) (local.get $at)))
          (then (local.set $taken (i32.sub (local.get $end) (local.get $at)))))
        (memory.copy (local.get $waiting) (local.get $at) (local.get $taken))
        (if (i32.lt_u (i32.add (local.get $waiting) (local.get $taken)) (i32.const 32)) (then (return)))
        (call $stripes (i32.const 0) (i32.const 32))
        (local.set $at (i32.add (local.get $at) (local.get $taken)))))
    (local.set $taken (i32.and (i32.sub (local.get $end) (local.get $at)) (i32.const -32)))
    (call $stripes (local.get $at) (i32.add (local.get $at) (local.get $taken)))
    (local.set $at (i32.add (local.get $at) (local.get $taken)))
    (memory.copy (i32.const 0) (local.get $at) (i32.sub (local.get $end) (local.get $at))))

  ;; Step 1 of the specification: the accumulators of both seeds at the start of a row.
  (func $start
    (i64.store offset=32 (i32.const 0) (i64.const 0x60ea27eeadc0b5d6))
    (i64.store offset=40 (i32.const 0) (i64.const 0xc2b2ae3d27d4eb4f))
    (i64.store offset=48 (i32.const 0) (i64.const 0))
    (i64.store offset=56 (i32.const 0) (i64.const 0x61c8864e7a143579))
    (i64.store offset=64 (i32.const 0) (i64.const 0x60ea8b5e1427283b))
    (i64.store offset=72 (i32.const 0) (i64.const 0xc2b311ac8e3b5db4))
    (i64.store offset=80 (i32.const 0) (i64.const 0x636f66667265))
    (i64.store offset=88 (i32.const 0) (i64.const 0x61c8e9bde07aa7de)))

  ;; Step 2: takes the whole stripes from $at to $end into the accumulators.
  (func $stripes (param $at i32) (param $end i32)
    (local $lane i64)
    (local $a1 i64) (local $a2 i64) (local $a3 i64) (local $a4 i64)
    (local $b1 i64) (local $b2 i64) (local $b3 i64) (local $b4 i64)
    (local.set $a1 (i64.load offset=32 (i32.const 0)))
    (local.set $a2 (i64.load offset=40 (i32.const 0)))
    (local.set $a3 (i64.load offset=48 (i32.const 0)))
    (local.set $a4 (i64.load offset=56 (i32.const 0)))
    (local.set $b1 (i64.load offset=64 (i32.const 0)))
    (local.set $b2 (i64.load offset=72 (i32.const 0)))
    (local.set $b3 (i64.load offset=80 (i32.const 0)))
    (local.set $b4 (i64.load offset=88 (i32.const 0)))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
        (local.set $lane (i64.mul (i64.load (local.get $at)) (i64.const 0xc2b2ae3d27d4eb4f)))
        (local.set $a1
          (i64.mul (i64.rotl (i64.add (local.get $a1) (local.get $lane)) (i64.const 31)) (i64.const 0x9e3779b185ebca87)))
        (local.set $b1
          (i64.mul (i64.rotl (i64.add (local.get $b1) (local.get $lane)) (i64.const 31)) (i64.const 0x9e3779b185ebca87)))
        (local.set $lane (i64.mul (i64.load offset=8 (local.get $at)) (i64.const 0xc2b2ae3d27d4eb4f)))
        (local.set $a2
          (i64.mul (i64.rotl (i64.add (local.get $a2) (local.get $lane)) (i64.const 31)) (i64.const 0x9e3779b185ebca87)))
        (local.set $b2
          (i64.mul (i64.rotl (i64.add (local.get $b2) (local.get $lane)) (i64.const 31)) (i64.const 0x9e3779b185ebca87)))
        (local.set $lane (i64.mul (i64.load offset=16 (local.get $at)) (i64.const 0xc2b2ae3d27d4eb4f)))
        (local.set $a3
          (i64.mul (i64.rotl (i64.add (local.get $a3) (local.get $lane)) (i64.const 31)) (i64.const 0x9e3779b185ebca87)))
        (local.set $b3
          (i64.mul (i64.rotl (i64.add (local.get $b3) (local.get $lane)) (i64.const 31)) (i64.const 0x9e3779b185ebca87)))
        (local.set $lane (i64.mul (i64.load offset=24 (local.get $at)) (i64.const 0xc2b2ae3d27d4eb4f)))
        (local.set $a4
          (i64.mul (i64.rotl (i64.add (local.get $a4) (local.get $lane)) (i64.const 31)) (i64.const 0x9e3779b185ebca87)))
        (local.set $b4
          (i64.mul (i64.rotl (i64.add (local.get $b4) (local.get $lane)) (i64.const 31)) (i64.const 0x9e3779b185ebca87)))
        (local.set $at (i32.add (local.get $at) (i32.const 32)))
        (br $next)))
    (i64.store offset=32 (i32.const 0) (local.get $a1))
    (i64.store offset=40 (i32.const 0) (local.get $a2))
    (i64.store offset=48 (i32.const 0) (local.get $a3))
    (i64.store offset=56 (i32.const 0) (local.get $a4))
    (i64.store offset=64 (i32.const 0) (local.get $b1))
    (i64.store offset=72 (i32.const 0) (local.get $b2))
    (i64.store offset=80 (i32.const 0) (local.get $b3))
    (i64.store offset=88 (i32.const 0) (local.get $b4)))

  ;; Step 3: folds one seed's accumulators, at $at, into one number.
  (func $converge (param $at i32) (result i64)
    (local $v1 i64) (local $v2 i64) (local $v3 i64) (local $v4 i64)
    (local.set $v1 (i64.load (local.get $at)))
    (local.set $v2 (i64.load offset=8 (local.get $at)))
    (local.set $v3 (i64.load offset=16 (local.get $at)))
    (local.set $v4 (i64.load offset=24 (local.get $at)))
    (i64.add
      (i64.add (i64.rotl (local.get $v1) (i64.const 1)) (i64.rotl (local.get $v2) (i64.const 7)))
      (i64.add (i64.rotl (local.get $v3) (i64.const 12)) (i64.rotl (local.get $v4) (i64.const 18))))
    (call $merge (local.get $v1))
    (call $merge (local.get $v2))
    (call $merge (local.get $v3))
    (call $merge (local.get $v4)))

  (func $merge (param $hash i64) (param $accumulator i64) (result i64)
    (i64.add
      (i64.mul
        (i64.xor (local.get $hash)
          (i64.mul
            (i64.rotl (i64.mul (local.get $accumulator) (i64.const 0xc2b2ae3d27d4eb4f)) (i64.const 31))
            (i64.const 0x9e3779b185ebca87)))
        (i64.const 0x9e3779b185ebca87))
      (i64.const 0x85ebca77c2b2ae63)))

  ;; Ends a row of $total bytes: adds its two hashes to the sums. The bytes from $at to $end are the whole row, or what
  ;; is left of it (fewer than 32) when the accumulators hold the rest.
  (func $digest (param $at i32) (param $end i32) (param $total i64)
    (local $a i64) (local $b i64) (local $lane i64) (local $whole i32)
    (if (i64.lt_u (local.get $total) (i64.const 32))
      (then
        (local.set $a (i64.const 0x27d4eb2f165667c5))
        (local.set $b (i64.const 0x27d54e9e7cbcda2a)))
      (else
        (local.set $whole (i32.and (i32.sub (local.get $end) (local.get $at)) (i32.const -32)))
        (if (local.get $whole)
          (then
            (call $start)
            (call $stripes (local.get $at) (i32.add (local.get $at) (local.get $whole)))
            (local.set $at (i32.add (local.get $at) (local.get $whole)))))
        (local.set $a (call $converge (i32.const 32)))
        (local.set $b (call $converge (i32.const 64)))))

    ;; Step 4: the length.
    (local.set $a (i64.add (local.get $a) (local.get $total)))
    (local.set $b (i64.add (local.get $b) (local.get $total)))

    ;; Step 5: what is left, fewer than 32 bytes.
    (block $no_eight
      (loop $next_eight
        (br_if $no_eight (i32.lt_u (i32.sub (local.get $end) (local.get $at)) (i32.const 8)))
        (local.set $lane
          (i64.mul
            (i64.rotl (i64.mul (i64.load (local.get $at)) (i64.const 0xc2b2ae3d27d4eb4f)) (i64.const 31))
            (i64.const 0x9e3779b185ebca87)))
        (local.set $a
          (i64.add
            (i64.mul
              (i64.rotl (i64.xor (local.get $a) (local.get $lane)) (i64.const 27))
              (i64.const 0x9e3779b185ebca87))
            (i64.const 0x85ebca77c2b2ae63)))
        (local.set $b
          (i64.add
            (i64.mul
              (i64.rotl (i64.xor (local.get $b) (local.get $lane)) (i64.const 27))
              (i64.const 0x9e3779b185ebca87))
            (i64.const 0x85ebca77c2b2ae63)))
        (local.set $at (i32.add (local.get $at) (i32.const 8)))
        (br $next_eight)))
    (if (i32.ge_u (i32.sub (local.get $end) (local.get $at)) (i32.const 4))
      (then
        (local.set $lane (i64.mul (i64.load32_u (local.get $at)) (i64.const 0x9e3779b185ebca87)))
        (local.set $a
          (i64.add
            (i64.mul
              (i64.rotl (i64.xor (local.get $a) (local.get $lane)) (i64.const 23))
              (i64.const 0xc2b2ae3d27d4eb4f))
            (i64.const 0x165667b19e3779f9)))
        (local.set $b
          (i64.add
            (i64.mul
              (i64.rotl (i64.xor (local.get $b) (local.get $lane)) (i64.const 23))
              (i64.const 0xc2b2ae3d27d4eb4f))
            (i64.const 0x165667b19e3779f9)))
        (local.set $at (i32.add (local.get $at) (i32.const 4)))))
    (block $no_byte
      (loop $next_byte
        (br_if $no_byte (i32.ge_u (local.get $at) (local.get $end)))
        (local.set $lane (i64.mul (i64.load8_u (local.get $at)) (i64.const 0x27d4eb2f165667c5)))
        (local.set $a
          (i64.mul (i64.rotl (i64.xor (local.get $a) (local.get $lane)) (i64.const 11)) (i64.const 0x9e3779b185ebca87)))
        (local.set $b
          (i64.mul (i64.rotl (i64.xor (local.get $b) (local.get $lane)) (i64.const 11)) (i64.const 0x9e3779b185ebca87)))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br $next_byte)))

    (global.set $rows (i64.add (global.get $rows) (i64.const 1)))
    (global.set $low (i64.add (global.get $low) (call $avalanche (local.get $a))))
    (global.set $high (i64.add (global.get $high) (call $avalanche (local.get $b)))))

  ;; Step 6: the final mix.
  (func $avalanche (param $hash i64) (result i64)
    (local.set $hash
      (i64.mul
        (i64.xor (local.get $hash) (i64.shr_u (local.get $hash) (i64.const 33)))
        (i64.const 0xc2b2ae3d27d4eb4f)))
    (local.set $hash
      (i64.mul
        (i64.xor (local.get $hash) (i64.shr_u (local.get $hash) (i64.const 29)))
        (i64.const 0x165667b19e3779f9)))
    (i64.xor (local.get $hash) (i64.shr_u (local.get $hash) (i64.const 32)))))
