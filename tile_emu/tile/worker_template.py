"""The worker loop around the generated dispatch. ``@NAME@`` marks are filled in by engine.py."""

WORKER_TEMPLATE = '''
@jit(leaf=True)
def rounding_draw(op, csr):
    """Random bits of an instruction that rounds stochastically: one step of the worker's generator; 0 for others."""
    if op in STOCHASTIC:
        return prng_step(csr[W_PRNG : W_PRNG + 4])
    return 0


@jit(leaf=True)
def run_worker(mem8, mem16, mem32, mem64, sram, pages, code, mrf, arf, acc, weights16, weights32, csr, slots, own,
               counters, undo, limit, units, context@{, view}@):
    """Run one worker until it exits, faults or needs a page decoded; a Status.

    mem8 .. mem64: views of the tile's SRAM; sram: (base, size, interleaved, executable) in bytes,
    the last two as offsets; pages: int32[2, n] page tables by mode; own: this context's progress (int64);
    units, context: translated code (tile_emu.tile.translate.runtime), row 0 of units tells whether to use it.
    """
    sram_base, sram_size, interleaved, executable, repeat_mask, code_end = sram
    pc = own[PC]
    turns = own[TURNS]
    start = own[START_CYCLE]
    repeat_left = own[REPEAT_LEFT]
    repeat_first = own[REPEAT_FIRST]
    repeat_end = own[REPEAT_END]
    arf64 = arf.view(np.int64)
    ctl = int64(csr[W_FP_CTL])
    trapping = ctl & 7 != 0
    amp_count = 0
    turns_before = turns
    # Bytes of instructions beyond 4 a turn: second halves of bundles, less turns that begin no instruction.
    more = 0
    counted_words = (len(counters) - EXECUTIONS) // EXECUTION_PARTS
    count_runs(counters, sram_base, own, 1)
    fault_address = -1
    status = 0
    ended = 0
    w0 = w1 = 0
    p = uint64(0)
    # Where code that runs straight on leaves its page, or a pass of a repeat ends.
    boundary = 0
    fetch = True
    translating = units[0, UNIT_ADDRESS] != 0
    unit = -1
    while True:
        if fetch:
            o = pc - sram_base
            if o & 3 or o < 0 or o >= executable:
                status = INVALID_PC
                break
            page = int64(pages[0, o >> (PAGE_SHIFT + 2)])
            if page < 0:
                status = DECODE
                break
            p = uint64(((page << PAGE_SHIFT) + ((o >> 2) & (PAGE_WORDS - 1))) * DECODED_FIELDS)
            counters[TOUCHED] |= 1 << ((o >> (PAGE_SHIFT + 2)) & 63)
            fetch = False
            boundary = next_boundary(pc, repeat_left, repeat_end)
            if translating and repeat_left == 0 and (code[p + U13] != 0 or turns == 0):
                unit = find_unit(units, int64(code[p + U13]), pages)
                if unit < 0:
                    status = TRANSLATE
                    break
                if units[unit, UNIT_ADDRESS] != 0 and not trapping and ctl & CTL_ESR == 0:
                    own[PC] = pc
                    own[TURNS] = turns
                    own[REPEAT_LEFT] = 0
                    count_runs(counters, sram_base, own, -1)
                    ended = run_unit(units[unit], sram_base, mem8, pages, mrf, arf, acc, csr, own, weights16, weights32,
                                     counters, limit, context)
                    count_runs(counters, sram_base, own, 1)
                    pc = own[PC]
                    # Without progress the instruction is one for the interpreter.
                    translating = own[TURNS] != turns
                    more += 4 * (context[CONTEXT_WORDS] - own[TURNS] + turns)
                    turns = own[TURNS]
                    repeat_left = own[REPEAT_LEFT]
                    repeat_first = own[REPEAT_FIRST]
                    repeat_end = own[REPEAT_END]
                    amp_count += context[CONTEXT_AMP]
                    if ended != 0:
                        turns += 1
                        break
                    fetch = True
                    continue
                if turns == 0 and units[unit, UNIT_TURNS] >= units[unit, UNIT_LIMIT]:
                    status = TRANSLATE
                    break
                translating = False
        @@if stops_before(view, pc - sram_base, int64(code[p + U2])):
        @@    status = STEPPED
        @@    break
        @@note_step(view, mem32, pc - sram_base, start + 6 * turns, int64(code[p + U0]), int64(code[p + U1]), mrf, arf,
        @@          acc)
        if repeat_left != 0 and code[p + U3] != 0:
            status = INVALID_INSTR
            break
        aux = int64(code[p + U1])
        op = int64(code[p + U0])
        if trapping and aux != 0:
            keep_state(undo, mrf, arf, acc, csr)
        size = int64(code[p + U2])
        next_pc = pc + size
        flags = 0
        t0 = t1 = -1
        if op != 0:
            group = op >> GROUP_SHIFT
            if group == ALU:
                do_alu(op, code, p, mrf, arf)
                if aux == 0 and next_pc < boundary:
                    # The short way: on its own it can neither fault nor jump.
                    turns += 1
                    pc = next_pc
                    p += uint64(DECODED_FIELDS)
                    continue
            elif group == LOAD:
                status, fault_address, t0, w0, t1, w1 = do_load(
                    op, code, p, mem8, mem16, mem32, mem64, sram, pages, mrf, arf, arf64, undo, trapping@{, view}@)
            elif group == PACE:
                status, fault_address, t0, w0, t1, w1 = do_pace(
                    op, code, p, mem8, mem16, mem32, mem64, sram, pages, mrf, arf, arf64, undo, trapping@{, view}@)
            elif group == STORE:
                status, fault_address = do_store(
                    op, code, p, mem8, mem16, mem32, mem64, sram, pages, mrf, arf, arf64, undo, trapping@{, view}@)
                fetch = True
            elif group == CONTROL:
                status, next_pc, _, new_repeat, new_end, ended = do_control(op, code, p, mrf, next_pc, repeat_mask)
                if new_repeat != 0:
                    repeat_left = new_repeat
                    repeat_first = next_pc
                    repeat_end = new_end
                    boundary = next_boundary(pc, repeat_left, repeat_end)  # the body may begin on the next page
                    count_run(counters, sram_base, repeat_first, repeat_end, repeat_left - 1)
                if ended != 0:
                    turns += 1
                    break
                # Without a branch nothing runs for ever.
                if turns >= limit:
                    status = ENDLESS
            elif group == CSR:
                own[REPEAT_LEFT] = repeat_left
                own[REPEAT_FIRST] = repeat_first
                own[REPEAT_END] = repeat_end
                status = do_csr(op, code, p, mrf, csr, slots, own, acc, start + 6 * turns, pc)
            else:
                status = undecoded(op)
            if status != 0:
                break
        if aux != 0:
            group = aux >> GROUP_SHIFT
            draw = 0
            if ctl & CTL_ESR != 0:
                draw = rounding_draw(aux, csr)
            if group == AMP:
                flags = do_amp(aux, code, p, arf, arf64, acc, ctl, draw, csr, weights16, weights32)
                amp_count += 1
            elif group == F16:
                flags = do_f16(aux, code, p, arf, arf64, acc, ctl, draw, csr)
            elif group == F32:
                flags = do_f32(aux, code, p, arf, arf64, acc, ctl, draw, csr)
            elif group == BITS:
                do_bits(aux, code, p, arf, arf64, acc, ctl, csr)
            elif group == ACCUMULATE:
                flags = do_accumulate(aux, code, p, arf, arf64, acc, ctl, draw, csr)
            elif group == SPECIAL:
                flags = do_special(aux, code, p, arf, arf64, acc, ctl, draw, csr, weights16, weights32)
                if flags & ctl & 7 == 0:
                    extra = flags >> EXTRA_TURNS_SHIFT
                    turns += extra
                    more -= 4 * extra
                    if extra != 0:
                        counters[counted_words + run_place(counters, sram_base, pc)] += extra
                flags &= 7
            else:
                status = do_aux_csr(aux, code, p, arf, csr, slots, own, acc, start + 6 * turns, pc)
                ctl = int64(csr[W_FP_CTL])
                trapping = ctl & 7 != 0
                if status != 0:
                    break
        if flags != 0:
            csr[W_FP_STS] |= uint32(flags)
            if flags & ctl & 7:
                restore_state(undo, mem64, mrf, arf, acc, csr)
                csr[W_FP_STS] |= uint32(flags)
                status = FP
                break
        if t0 >= 0:
            if t0 & HELD_WORD:
                arf[t0 & HELD_REGISTER] = uint32(w0 & M32)
            else:
                arf64[t0 >> 1] = w0
        if t1 >= 0:
            if t1 & HELD_WORD:
                arf[t1 & HELD_REGISTER] = uint32(w1 & M32)
            else:
                arf64[t1 >> 1] = w1
        more += size - 4
        turns += 1
        if next_pc != pc + size:
            count_run(counters, sram_base, next_pc, pc + size, 1)
        elif next_pc < boundary:
            pc = next_pc
            p += uint64(size * (DECODED_FIELDS // 4))
            continue
        else:
            repeat_left, next_pc, boundary = at_boundary(next_pc, repeat_left, repeat_first, repeat_end)
        if (next_pc ^ pc) & ~(PAGE_BYTES - 4) == 0:
            # Still in the same decoded page, and aligned.
            p += uint64((next_pc - pc) * (DECODED_FIELDS // 4))
        else:
            fetch = True
        pc = next_pc
    own[PC] = pc
    own[TURNS] = turns
    own[REPEAT_LEFT] = repeat_left
    own[REPEAT_FIRST] = repeat_first
    own[REPEAT_END] = repeat_end
    own[FAULT_ADDRESS] = fault_address
    count_runs(counters, sram_base, own, -1)
    if ended != 0:
        count_run(counters, sram_base, pc, pc + 4, 1)
    counters[COUNT_TURNS] += turns - turns_before
    counters[COUNT_INSTRUCTIONS] += turns - turns_before + (more >> 2)
    counters[COUNT_AMP] += amp_count
    if unit > 0:
        units[unit, UNIT_TURNS] += turns - turns_before
    if ended != 0:
        own[EXIT_CYCLE] = start + 6 * (turns - 1)
        return ended
    return status
'''
