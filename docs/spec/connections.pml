/* The app: one loop, a listener, connections, their clients and handlers. A loop counts for the report (loop_account)
 * from when it first looks at the stop, in whatever order they come. */

mtype = { none, handshake, fresh, idle, head, handling, writing, streaming, lingering, closed };  /* connection_state */
mtype = { nothing, first_bytes, whole_request };                    /* what a client has sent of its request */
mtype = { silence, answer, visible_cut, false_end };                /* what it has heard: the last must never be */

mtype at[CONNECTIONS] = none, sent[CONNECTIONS] = nothing, heard[CONNECTIONS] = silence;
bool left[CONNECTIONS];             /* the client has gone */
bool returned[CONNECTIONS];         /* its handler has; one that waits for the tracker: waits_for_tracker */
bool obstinate[CONNECTIONS];        /* the handler, or the source of the stream, never returns */
bool told_handler[CONNECTIONS], abandoned[CONNECTIONS], told_stream[CONNECTIONS], worked[CONNECTIONS], by_force[CONNECTIONS];
bool named_handler[CONNECTIONS], is_created[CONNECTIONS];
byte requests_left[CONNECTIONS];
bool about_to_close[CONNECTIONS];
bool deaf[CONNECTIONS];             /* the client does not read, and what it is sent does not fit into the socket */
bool ending[CONNECTIONS];           /* the end of a stream that was told is written, or behind what is not read */
byte since[CONNECTIONS];            /* when it began to be written, or its end */

bool listening = true, turned_away, drains, wedged;
bool loop_due;                      /* this tick has not looked at its connections yet */
byte drain_at;

bool leaves, streams, unread, events;  /* what clients and handlers may do */

/* The account of the loop, from when it has noted the stop. */
byte open, under_way, open_at_stop, accepted_after, closed_idle, finished, r_forced;
byte in_flight_at_stop, begun_after, r_finished, r_cut, r_gone;

#define connected(i) (at[i] != none && at[i] != handshake && at[i] != closed)
#define in_request(i) (at[i] == head || at[i] == handling || at[i] == writing || at[i] == streaming)
#define OVER (drains && t >= APP_OVER)
#define GRACE_IS_OVER (t >= drain_at + GRACE)
#define unread_too_long(i) (t >= (since[i] > drain_at + GRACE -> since[i] : drain_at + GRACE) + LONGEST_UNREAD)

/* A reader that holds the stop, with nothing left that the server could do for it. */
#define holds_unread(i) (drains && deaf[i] && told_stream[i] && !obstinate[i] && \
                         ((at[i] == streaming && t >= drain_at + GRACE + LONGEST_UNREAD) || \
                          (at[i] == writing && ending[i] && unread_too_long(i))))
#define held_by_its_client(i) ((at[i] == writing || at[i] == streaming) && t > since[i] + 1 && t > APP_OVER)

#define is_queued(i) (at[i] == handshake)
#define is_due(i) ((at[i] == handshake && listening) || \
                   ((at[i] == fresh || at[i] == idle) && sent[i] != nothing) || (at[i] == head && sent[i] == whole_request) || \
                   (at[i] == handling && returned[i]))
#define a_connection_is_due (loop_due || ANY(is_due))
#define named_late(i) (named_handler[i])

inline note(begun)
{
    byte each = 0;
    noted = begun;
    accepted_after = 0; closed_idle = 0; finished = 0; r_forced = 0;
    begun_after = 0; r_finished = 0; r_cut = 0; r_gone = 0;
    open_at_stop = (begun -> open : 0); in_flight_at_stop = (begun -> under_way : 0);
    do
    :: each < CONNECTIONS -> worked[each] = begun && in_request(each); each++
    :: else -> break
    od;
    each = 0
}

/* loop_clock::stopping: a state that everything checks. */
inline look()
{
    if
    :: stopping && !noted && (drains || with(STOP_NOTED_BY_EVERYBODY)) -> note(true)
    :: !stopping && noted && with(WITHDRAWAL_IS_NOTED) -> note(false)
    :: else
    fi
}

inline request_begins(i)
{
    at[i] = head; under_way++;
    if
    :: noted -> begun_after++; worked[i] = true
    :: else
    fi
}

#define COUNT(when, column) if :: when -> column++ :: else fi

/* The request of `i` ends; what its client has heard of it is known. */
inline request_ends(i, column, true_column)
{
    under_way--;
    COUNT(noted, column);
    COUNT(stopping, true_column);
    LAW(law_answered_or_cut, left[i] || heard[i] == answer || heard[i] == visible_cut)
}

inline answered(i)
{
    heard[i] = answer;
    if
    :: is_created[i] -> promised[i] = true
    :: else
    fi;
    if
    :: by_force[i] -> request_ends(i, r_cut, true_cut)
    :: else -> request_ends(i, r_finished, true_finished)
    fi
}

/* What nobody asks for any more, so that states are the same that differ in nothing else. */
inline forget(i)
{
    sent[i] = nothing; heard[i] = silence; left[i] = false; returned[i] = false; obstinate[i] = false;
    told_handler[i] = false; abandoned[i] = false; told_stream[i] = false; worked[i] = false; by_force[i] = false;
    named_handler[i] = false; is_created[i] = false; about_to_close[i] = false;
    deaf[i] = false; ending[i] = false; since[i] = 0
}

inline close_connection(i)
{
    at[i] = closed; open--;
    if
    :: noted && by_force[i] -> r_forced++
    :: noted && !by_force[i] && worked[i] -> finished++
    :: noted && !by_force[i] && !worked[i] -> closed_idle++
    :: else
    fi;
    forget(i)
}

/* transport: SO_LINGER 0. */
inline cut(i)
{
    heard[i] = (at[i] == streaming && !with(CUT_BY_RESET) -> false_end : visible_cut);
    by_force[i] = true;
    request_ends(i, r_cut, true_cut);
    close_connection(i)
}

inline request_gone(i)
{
    if
    :: with(WHO_LEFT_IS_COUNTED) -> request_ends(i, r_gone, true_gone)
    :: else -> under_way--; COUNT(stopping, true_gone)
    fi;
    close_connection(i)
}

inline after_the_answer(i)
{
    is_created[i] = false; returned[i] = false; told_stream[i] = false;
    deaf[i] = false; ending[i] = false; since[i] = 0;
    if
    :: abandoned[i] -> skip         /* its handler is waited for */
    :: !abandoned[i] && (stopping || requests_left[i] == 0) -> at[i] = lingering
    :: else -> at[i] = idle; sent[i] = nothing; heard[i] = silence
    fi
}

/* A stream is over, and its client takes the end of it, or does not. */
inline end_stream(i)
{
    if
    :: !deaf[i] -> answered(i); after_the_answer(i)
    :: else -> at[i] = writing; ending[i] = told_stream[i]; since[i] = t
    fi
}

/* decision::cut_unread */
inline cut_unread(i)
{
    LAW(law_patience, ending[i]);
    heard[i] = (with(CUT_BY_RESET) -> visible_cut : false_end);
    if
    :: with(WHO_DOES_NOT_READ_IS_GONE) -> request_ends(i, r_gone, true_gone)
    :: else -> request_ends(i, r_cut, true_gone)
    fi;
    close_connection(i)
}

/* server/decision: what the tick does. */
inline decide(i)
{
    if
    :: (at[i] == fresh || at[i] == idle) && drains && (OVER || t >= drain_at + GRACE) ->
        if
        :: sent[i] == nothing && with(LOOK_AND_FIN_IN_ONE_STEP) -> close_connection(i)
        :: sent[i] == nothing && !with(LOOK_AND_FIN_IN_ONE_STEP) -> about_to_close[i] = true
        :: else                     /* bytes have arrived: they are served */
        fi
    :: at[i] == head && OVER -> by_force[i] = true; answered(i); after_the_answer(i)             /* 408 */
    :: at[i] == handling && OVER && !told_handler[i] -> told_handler[i] = true; by_force[i] = true; loop_due = true
    :: at[i] == handling && OVER && told_handler[i] && !abandoned[i] && !returned[i] && with(ANSWER_FOR_LATE_HANDLERS) ->
        abandoned[i] = true; is_created[i] = false;                                              /* 503 */
        named_handler[i] = with(LATE_HANDLERS_ARE_NAMED);
        answered(i)
    :: (at[i] == writing || at[i] == streaming) && OVER && with(CUT_WHEN_THE_APP_GIVES_UP) -> cut(i)
    :: at[i] == writing && drains && !OVER && unread_too_long(i) && with(UNREAD_ENDS_ARE_CUT) &&
        (ending[i] || !with(ONLY_ENDS_OF_STREAMS_ARE_CUT)) -> cut_unread(i)
    :: at[i] == streaming && drains && !OVER && !told_stream[i] -> told_stream[i] = true; loop_due = GRACE_IS_OVER
    :: at[i] == streaming && drains && !OVER && told_stream[i] && GRACE_IS_OVER && !obstinate[i] &&
        (!deaf[i] || with(END_BEHIND_WHAT_IS_NOT_READ)) ->
        end_stream(i)                                                                           /* by us, whole */
    :: at[i] == lingering && OVER -> close_connection(i)
    :: else
    fi
}

/* loop_tick::come */
active proctype loop()
{
    byte nth = 0;
end:
    do
    :: atomic { alive && !wedged && loop_due ->
            loop_due = false; look();
            do
            :: nth < CONNECTIONS -> decide(nth); nth++
            :: else -> break
            od;
            nth = 0 }
    od
}

proctype connection(byte me)
{
end:
    do
    /* The client. */
    :: atomic { alive && at[me] == none && listening && !turned_away &&
               (!TRACED || requests_left[me] > 0) -> at[me] = handshake }
    :: atomic { alive && (at[me] == fresh || at[me] == idle || at[me] == handshake) && sent[me] == nothing &&
               requests_left[me] > 0 && !left[me] -> requests_left[me]--; sent[me] = first_bytes }
    :: atomic { alive && sent[me] == first_bytes && at[me] != closed && at[me] != lingering -> sent[me] = whole_request }
    :: atomic { alive && connected(me) && !left[me] && leaves -> left[me] = true }
    :: atomic { alive && unread && (at[me] == writing || at[me] == streaming) && !left[me] -> deaf[me] = !deaf[me] }

    /* The loop. */
    :: atomic { alive && !wedged && at[me] == handshake && listening ->
            look();
            at[me] = fresh; open++; loop_due = (loop_due || drains);
            COUNT(noted, accepted_after) }
    :: atomic { alive && !wedged && (at[me] == fresh || at[me] == idle) && sent[me] != nothing &&
               !about_to_close[me] -> look(); request_begins(me) }
    :: atomic { alive && !wedged && at[me] == head && sent[me] == whole_request ->
            look(); at[me] = handling; SEEN_OF(saw_handler, me) }
    :: atomic { alive && !wedged && at[me] == handling && returned[me] && !abandoned[me] && !left[me] ->
            look(); at[me] = writing; since[me] = t; SEEN_OF(saw_its_answer, me) }
    :: atomic { alive && !wedged && at[me] == handling && returned[me] && !abandoned[me] && left[me] -> look(); request_gone(me) }
    :: atomic { alive && !wedged && at[me] == handling && returned[me] && abandoned[me] ->
            look(); named_handler[me] = false; close_connection(me) }
    :: atomic { alive && !wedged && at[me] == writing && !left[me] && !deaf[me] -> look(); answered(me); after_the_answer(me) }
    :: atomic { alive && !wedged && at[me] == lingering -> look(); close_connection(me) }
    :: atomic { alive && !wedged && left[me] && (at[me] == fresh || at[me] == idle) -> look(); close_connection(me) }
    :: atomic { alive && !wedged && left[me] && (at[me] == head || at[me] == writing || at[me] == streaming) ->
            look(); request_gone(me) }
    :: atomic { alive && !wedged && about_to_close[me] ->
            about_to_close[me] = false;
            LAW(law_answered_or_cut, sent[me] == nothing);
            close_connection(me) }

    /* The handler. */
    :: atomic { alive && !wedged && at[me] == handling && !returned[me] && !obstinate[me] && !waits_for_tracker[me] ->
            returned[me] = true }
    :: atomic { alive && !wedged && at[me] == handling && !returned[me] && !obstinate[me] && faults > 0 ->
            faults--; obstinate[me] = true }
    :: atomic { alive && !wedged && streams && at[me] == handling && !returned[me] && !obstinate[me] && !told_handler[me] && !left[me] ->
            at[me] = streaming; since[me] = t; loop_due = (loop_due || drains) }
    :: atomic { alive && !wedged && at[me] == streaming && !obstinate[me] && faults > 0 -> faults--; obstinate[me] = true }
    :: atomic { alive && !wedged && at[me] == streaming && !obstinate[me] && !left[me] -> look(); end_stream(me) }
    :: atomic { alive && !wedged && events && at[me] == handling && !returned[me] && !obstinate[me] && !offered[me] -> record(me) }
    :: atomic { alive && !wedged && waits_for_tracker[me] && verdict[me] != undecided ->
            waits_for_tracker[me] = false; returned[me] = true; is_created[me] = (verdict[me] == taken) }
    :: atomic { alive && !wedged && waits_for_tracker[me] && told_handler[me] && verdict[me] == undecided ->
            waits_for_tracker[me] = false; returned[me] = true; queued[me] = false }
    od
}

/* http_server::run: everybody in the queue is let in, then the listener closes, then the loop drains. */
active proctype app_part()
{
end:
    do
    :: atomic { alive && asked_to_end[APP] && !drains && !ended[APP] && !turned_away -> turned_away = true }
    :: atomic { alive && !wedged && turned_away && listening && !ended[APP] &&
               (!ANY(is_queued) || !with(LISTENER_CLOSES_LAST)) ->
            LAW(law_handshake, !ANY(is_queued));
            listening = false; drains = true; drain_at = t; look(); loop_due = (open > 0) }
    :: atomic { alive && !wedged && drains && open == 0 && !ended[APP] ->
            look(); ended[APP] = true; main_due = true; SEEN(saw_app_ended) }
    od
}

/* Its loop has failed: http_server::end_of_loop, then to_close. */
inline app_fails()
{
    byte some = 0;
    fail(APP, by_app);
    look();
    listening = false; turned_away = true; drains = true; drain_at = t;
    do
    :: some < CONNECTIONS ->
        if
        :: in_request(some) && !(at[some] == handling && abandoned[some]) -> cut(some)
        :: at[some] == handling && abandoned[some] -> by_force[some] = true; close_connection(some)
        :: at[some] == fresh || at[some] == idle || at[some] == lingering -> close_connection(some)
        :: at[some] == handshake -> at[some] = closed
        :: else
        fi;
        some++
    :: else -> break
    od;
    some = 0
}

/* http_server::account: what is still open is cut by the exit, and so is everything on a loop that has not noted. */
inline report_connections()
{
    byte here = 0;
    still_under_way = 0;
    do
    :: here < CONNECTIONS ->
        still_under_way = still_under_way + (in_request(here) && !abandoned[here]);
        LAW(law_answered_for, wedged || !over || left[here] || !(at[here] == head || (at[here] == handling && !abandoned[here])));
        here++
    :: else -> break
    od;
    here = 0;
    if
    :: !noted ->
        open_at_stop = open; r_forced = open; in_flight_at_stop = under_way; r_cut = under_way;
        accepted_after = 0; closed_idle = 0; finished = 0; begun_after = 0; r_finished = 0; r_gone = 0
    :: else ->
        r_forced = r_forced + (open_at_stop + accepted_after - (closed_idle + finished + r_forced));
        r_cut = in_flight_at_stop + begun_after - (r_finished + r_gone)
    fi
}

inline memory_is_gone()
{
    byte last = 0;
    alive = false; dead = true;
    do
    :: last < CONNECTIONS -> forget(last); at[last] = none; requests_left[last] = 0; queued[last] = false;
        waits_for_tracker[last] = false; verdict[last] = undecided; is_accepted[last] = false; last++
    :: else -> break
    od;
    last = 0;
    open = 0; under_way = 0; noted = false; open_at_stop = 0; accepted_after = 0; closed_idle = 0; finished = 0; r_forced = 0;
    in_flight_at_stop = 0; begun_after = 0; r_finished = 0; r_cut = 0; r_gone = 0;
    true_finished = 0; true_cut = 0; true_gone = 0; still_under_way = 0;
    listening = false; turned_away = false; drains = false; wedged = false; drain_at = 0; loop_due = false;
    accepted = 0; delivered = 0; spooled = 0; lost = 0; appending = NOTHING; delivering = NOTHING;
    written = false; reached_the_sink = false; sink_hangs = false; sink_fails = false; tracker_closing = false;
    t = 0; phase = stopped; cause = nobody; withdrawable = false; began = false; first_signal = false; forced = false;
    armed = false; over = false; concluded = false; first_at = 0; forced_at = 0; lame = 0; current = 0; unasked = false;
    asked_to_end[0] = false; asked_to_end[1] = false; asked_to_end[2] = false;
    ended[0] = false; ended[1] = false; ended[2] = false;
    named_app = false; named_tracker = false; named_debug = false; named_loop = false;
    main_due = false; main_stuck = false; debug_hangs = false; faults = 0; code = 0;
    begun_by_post = 0; withdrawals = 0; signals = 0; reported = false
}

inline exit_of_process()
{
    show_exit();
    check_what_is_kept();
    memory_is_gone()
}
