/* The end of the process as docs/shutdown.md and docs/tracker.md promise it: main's thread (lifecycle/stop_sequence,
 * done_collector, conclusion), the app with its connections (connections.pml: server/decision, http1/machine,
 * loop_account), the tracker with queue, spool and sink and the next start (tracker.pml), the debug port, signals, faults.
 * README.md says what is left out; tests/all/spec runs it.
 *
 * Time is counted in ticks of the stop: a quarter of a second and more. A loop that turns, and main, do within a tick
 * all that is due in it; handlers, clients, sinks and disks take as long as they like.
 */
#ifndef CONNECTIONS
#define CONNECTIONS 2
#endif

/* What a law rests on. The environment variable WITHOUT takes one away, by its number, and then its law must fail. */
#define LOOK_AND_FIN_IN_ONE_STEP 1
#define CUT_BY_RESET 2
#define ANSWER_FOR_LATE_HANDLERS 3
#define LISTENER_CLOSES_LAST 4
#define WHO_LEFT_IS_COUNTED 5
#define STOP_NOTED_BY_EVERYBODY 6
#define WITHDRAWAL_IS_NOTED 7
#define CUT_IS_CODE_3 8
#define UNASKED_END_IS_CODE_2 9
#define KERNEL_TIMER 10
#define END_WITHOUT_THE_PARTS 11
#define LATE_HANDLERS_ARE_NAMED 12
#define WEDGED_LOOPS_ARE_NAMED 13
#define ONE_ORDER 14
#define SIGNALS_ARE_NOT_WITHDRAWN 15
#define TRACKER_STOPS_AFTER_THE_APP 16
#define ANSWER_AFTER_THE_WRITE 17
#define FDATASYNC 18
#define SINK_SYNCS_FIRST 19
#define SETTLED_AFTER_THE_DELIVERY 20
#define KEYED_RECORDS 21
#define WHAT_IS_LEFT_IS_COUNTED 22
#define NOTE_AT_THE_END 23
#define STOPS_ARE_NUMBERED 24
#define UNREAD_ENDS_ARE_CUT 25
#define END_BEHIND_WHAT_IS_NOT_READ 26
#define CUT_WHEN_THE_APP_GIVES_UP 27
#define WHO_DOES_NOT_READ_IS_GONE 28
#define ONLY_ENDS_OF_STREAMS_ARE_CUT 29
byte without;
#define with(what) (without != what)

c_decl {
    \#include <stdlib.h>
    static int number_of(const char* name, int otherwise)  /* of the environment */
    {
        const char* const text = getenv(name);
        return text ? atoi(text) : otherwise;
    }
}

/* The shares of the budget: shutdown.lame_duck is 0 or 1 tick, idle_grace 1, flush 2. */
#define GRACE 1
#define LONGEST_UNREAD 1        /* of server/decision */
#define END (forced -> (forced_at + 3 < 7 -> forced_at + 3 : 7) : 7)
#define HARD_END (END + 1)
#define APP_PATIENCE (forced && forced_at + 1 < 4 -> forced_at + 1 : 4)
#define APP_OVER (forced && forced_at < 3 -> forced_at : 3)
#define TRACKER_PATIENCE (forced && forced_at + 2 < 6 -> forced_at + 2 : 6)
#define TRACKER_OVER (forced && forced_at + 2 < 5 -> forced_at + 2 : 5)

mtype = { serving, lame_duck, draining, stopped };                       /* phases of the process */
mtype = { nobody, by_signal, by_post, by_app, by_tracker, by_debug };    /* causes */

#define APP 2
#define TRACKER 1
#define DEBUG 0

bool alive, dead;
byte t;                         /* ticks since the stop began */
mtype phase = serving;
mtype cause = nobody;
bool withdrawable, began, first_signal, forced, armed, over, concluded, reported;
byte first_at, forced_at;
byte lame;                      /* shutdown.lame_duck */
byte current = 3;               /* whose turn it is to end; 3: nobody's yet */
bool asked_to_end[3], ended[3], unasked;
byte true_finished, true_cut, true_gone, still_under_way;  /* what really became of the requests since the stop began */
bool noted;                     /* the loop knows of the stop, and counts for its report */
bool main_due, main_stuck, debug_hangs;
bool named_app, named_tracker, named_debug, named_loop;  /* as stragglers, in the report */
byte faults, code;
byte begun_by_post, withdrawals, signals;  /* how often the world may do that */

#define stopping (phase != serving)
#define CLEAN 0
#define PART_FAILED 2
#define FORCED 3
#define UNBALANCED 4

/* Laws. Each is a variable, so that Spin names it. */
bool law_answered_or_cut = 1, law_answered_for = 1, law_handshake = 1, law_identities = 1, law_exit_code = 1;
bool law_budget = 1, law_reported = 1, law_named = 1, law_one_order = 1, law_ordered = 1, law_shares = 1;
bool law_readers = 1, law_patience = 1, law_ends = 1;
bool law_kept = 1, law_nothing_forged = 1, law_events_add_up = 1, law_previous_exit = 1;
bool the_model_gets_on = 1;     /* no law of the program: what cannot end would prove nothing */
#define LAW(name, holds) name = (holds); assert(name)
#if CONNECTIONS == 1
#define ANY(what) (what(0))
#elif CONNECTIONS == 2
#define ANY(what) (what(0) || what(1))
#elif CONNECTIONS == 3
#define ANY(what) (what(0) || what(1) || what(2))
#else
#define ANY(what) (what(0) || what(1) || what(2) || what(3))
#endif

/* With -D TRACE only runs that show what the trace of a real one shows (trace.py), in its order: steps of the stop, and
 * which connection's handler begins and answers. Between these anything may happen. */
#ifdef TRACE
#define LONGEST_TRACE 40
byte steps_shown[LONGEST_TRACE], requests_shown[LONGEST_TRACE];
byte step_now, request_now, steps_wanted, requests_wanted, exit_wanted, code_wanted;
byte wanted_in_flight, wanted_begun_after, wanted_finished, wanted_cut, wanted_gone;
bool the_trace_is_no_run = 1;
#define TRACED 1
#define WHOLE (step_now == steps_wanted && request_now == requests_wanted)
#define MATCH(shown, now_at, most, what) \
    if \
    :: now_at < most && shown[now_at] == (what) -> now_at++ \
    :: else -> alive = false        /* not this run */ \
    fi; \
    LAW(the_trace_is_no_run, !alive || exit_wanted || !WHOLE);
#define SEEN(what) MATCH(steps_shown, step_now, steps_wanted, what)
#define SEEN_OF(what, whom) MATCH(requests_shown, request_now, requests_wanted, 2 * (whom) + what)
inline show_exit()
{
    LAW(the_trace_is_no_run, !(exit_wanted && WHOLE && code == code_wanted && in_flight_at_stop == wanted_in_flight &&
                                  begun_after == wanted_begun_after && r_finished == wanted_finished &&
                                  r_cut == wanted_cut && r_gone == wanted_gone))
}
c_decl {
    \#include <string.h>
    static void numbers_of(const char* name, unsigned char* into, unsigned char* count)  /* of the environment: "1 2 3" */
    {
        char* text = strdup(getenv(name) ? getenv(name) : "");
        char* number;
        for (number = strtok(text, " "); number; number = strtok(0, " ")) into[(*count)++] = atoi(number);
        free(text);
    }
}
#else
#define TRACED 0
#define SEEN(what)
#define SEEN_OF(what, whom)
inline show_exit() { skip }
#endif
#define saw_began(why) (why == by_signal -> 1 : (why == by_post -> 2 : (why == by_app -> 3 : (why == by_tracker -> 4 : 5))))
#define saw_withdrawn 6
#define saw_forced 7
#define saw_app_asked 8
#define saw_tracker_asked 9
#define saw_app_ended 10
#define saw_handler 0
#define saw_its_answer 1

inline begin(why)
{
    if
    :: !stopping ->
        phase = lame_duck; cause = why; withdrawable = (why == by_post);
        t = 0; began = true; main_due = true;
        true_finished = 0; true_cut = 0; true_gone = 0;
        noted = noted && !(with(STOPS_ARE_NUMBERED) && with(WITHDRAWAL_IS_NOTED));
        SEEN(saw_began(why))
    :: else
    fi
}

/* stop_sequence::fail: a stop that nobody takes back. */
inline fail(part, why)
{
    ended[part] = true;
    if
    :: !asked_to_end[part] -> unasked = true; begin(why); withdrawable = false
    :: else
    fi;
    main_due = true
}

/* stop_sequence::withdraw, by DELETE /debug/shutdown. */
inline withdraw()
{
    if
    :: phase == lame_duck && (withdrawable || !with(SIGNALS_ARE_NOT_WITHDRAWN)) ->
        LAW(law_ordered, !first_signal && !unasked);
        phase = serving; cause = nobody; t = 0; main_due = true; began = false; armed = false;
        SEEN(saw_withdrawn)
    :: else
    fi
}

/* stop_sequence::signal */
inline on_signal()
{
    if
    :: !first_signal -> begin(by_signal); first_signal = true; first_at = t; withdrawable = false
    :: first_signal && !forced && (t > first_at || !with(ONE_ORDER)) ->
        LAW(law_one_order, t > first_at);
        forced = true; forced_at = t;
        SEEN(saw_forced)
    :: else
    fi
}

inline ask(part)
{
    if
    :: !ended[part] -> asked_to_end[part] = true
    :: else
    fi;
    if
    :: part == TRACKER -> SEEN(saw_tracker_asked)
    :: part == APP -> SEEN(saw_app_asked)
    :: else
    fi
}

/* stop_sequence::step and advance, and what done_collector does about it. */
inline step()
{
    if
    :: began && stopping ->
        if
        :: !with(NOTE_AT_THE_END) -> marker = marker_ended
        :: else
        fi;
        began = false; armed = with(KERNEL_TIMER)
    :: else -> began = false
    fi;
    if
    :: phase == lame_duck && (forced || ended[APP] || t >= lame) -> phase = draining; current = 3
    :: else
    fi;
    if
    :: phase == draining ->
        do
        :: current == 3 -> current = APP; ask(APP)
        :: current == APP && (ended[APP] || t >= APP_PATIENCE || !with(TRACKER_STOPS_AFTER_THE_APP)) ->
            current = TRACKER; ask(TRACKER)
        :: current == TRACKER && (ended[TRACKER] || t >= TRACKER_PATIENCE) -> current = DEBUG; ask(DEBUG)
        :: else -> break
        od;
        LAW(law_shares, current >= APP || ended[APP] || t >= APP_PATIENCE);
        if
        :: ended[APP] && ended[TRACKER] && ended[DEBUG] -> phase = stopped
        :: !(ended[APP] && ended[TRACKER] && ended[DEBUG]) && t >= END && with(END_WITHOUT_THE_PARTS) ->
            phase = stopped; over = true
        :: else
        fi
    :: else
    fi
}

#include "tracker.pml"
#include "connections.pml"

/* done_collector::conclude: http_server::account, event_tracker::account, exit_code_of. */
inline conclude()
{
    atomic {
        report_connections();
        report_events();
        named_app = over && !ended[APP]; named_tracker = over && !ended[TRACKER]; named_debug = over && !ended[DEBUG];
        named_loop = over && wedged && with(WEDGED_LOOPS_ARE_NAMED);
        code = CLEAN;
        if
        :: unasked && with(UNASKED_END_IS_CODE_2) -> code = PART_FAILED
        :: else
        fi;
        if
        :: (r_cut > 0 && with(CUT_IS_CODE_3)) || lost > 0 || named_app || named_tracker || named_debug || ANY(named_late) ->
            code = FORCED
        :: else
        fi;
        if
        :: accepted != delivered + spooled + lost -> code = UNBALANCED
        :: else
        fi;
        reported = true;
        LAW(law_identities, open_at_stop + accepted_after == closed_idle + finished + r_forced &&
                                in_flight_at_stop + begun_after == r_finished + r_cut + r_gone);
        LAW(law_identities, over || (r_finished == true_finished && r_cut == true_cut && r_gone == true_gone));
        LAW(law_events_add_up, accepted == delivered + spooled + lost);
        LAW(law_ends, !over || ended[APP] || wedged || !ANY(held_by_its_client));
        check_exit_code();
        check_names()
    }
}

inline check_exit_code()
{
    byte right = CLEAN;
    if
    :: unasked -> right = PART_FAILED
    :: else
    fi;
    if
    :: true_cut > 0 || still_under_way > 0 || ANY(named_late) || lost > 0 || !(ended[APP] && ended[TRACKER] && ended[DEBUG]) -> right = FORCED
    :: else
    fi;
    LAW(law_exit_code, code == right)
}

inline check_names()
{
    LAW(law_named, (ended[APP] || named_app) && (ended[TRACKER] || named_tracker) && (ended[DEBUG] || named_debug) &&
                       (!wedged || ended[APP] || named_loop));
    byte who = 0;
    do
    :: who < CONNECTIONS ->
        LAW(law_named, wedged || !(at[who] == handling && told_handler[who]) || named_handler[who]);
        who++
    :: else -> break
    od
}

active proctype main_thread()
{
end:
    do
    :: atomic { alive && !main_stuck && !concluded && main_due ->
            main_due = false;
            step();
            if
            :: phase == stopped -> concluded = true
            :: else
            fi }
    :: atomic { alive && !main_stuck && concluded && !reported -> conclude() }
    :: atomic { alive && !main_stuck && reported ->
            LAW(law_budget, t <= END);
            ended_by_main = true; marker = marker_ended;
            exit_of_process() }
    od
}

/* The kernel timer behind everything: _exit(3). */
active proctype kernel_timer()
{
end:
    do
    :: atomic { alive && armed && t >= HARD_END ->
            code = FORCED;
            LAW(law_reported, main_stuck);
            exit_of_process() }
    od
}

#define a_part_is_due ((asked_to_end[APP] && !ended[APP] && !wedged && (!drains || open == 0)) || \
                       (asked_to_end[DEBUG] && !ended[DEBUG] && !debug_hangs) || (asked_to_end[TRACKER] && !tracker_closing) || \
                       tracker_can_end)

active proctype clock()
{
end:
    do
    :: atomic { alive && stopping && !(armed && t >= HARD_END) && (main_stuck || !(main_due || concluded)) &&
               (wedged || !a_connection_is_due) && !a_part_is_due ->
            LAW(law_readers, wedged || !ANY(holds_unread));
            t++;
            LAW(law_budget, t <= HARD_END);
            main_due = true; loop_due = (open > 0) }
    od
}

/* Signals, and the debug port, which answers until it is asked to end. */
active proctype world()
{
    byte nth = 0;
    atomic {
        c_code {
            now.without = number_of("WITHOUT", 0);
            now.leaves = number_of("LEAVES", 0);
            now.streams = number_of("STREAMS", 0);
            now.unread = number_of("UNREAD", 0);
            now.events = number_of("EVENTS", 0);
            now.signals = number_of("SIGNALS", 2);
            now.begun_by_post = now.withdrawals = number_of("POSTS", 0);
            now.faults = number_of("FAULTS", 0);
            now.crashes = number_of("CRASHES", 0);
            now.durability = number_of("DURABILITY", process);
            now.lame = number_of("LAME_DUCK", 0);
        };
#ifdef TRACE
        c_code {
            numbers_of("STEPS_SHOWN", now.steps_shown, &now.steps_wanted);
            numbers_of("REQUESTS_SHOWN", now.requests_shown, &now.requests_wanted);
            now.exit_wanted = number_of("EXIT_SHOWN", 0);
            now.code_wanted = number_of("CODE", 0);
            now.wanted_in_flight = number_of("IN_FLIGHT_AT_STOP", 0);
            now.wanted_begun_after = number_of("BEGUN_AFTER", 0);
            now.wanted_finished = number_of("FINISHED", 0);
            now.wanted_cut = number_of("CUT", 0);
            now.wanted_gone = number_of("GONE", 0);
        };
#endif
        do
        :: nth < CONNECTIONS -> c_code { now.requests_left[Pworld->nth] = number_of("REQUESTS", 1); }; run connection(nth); nth++
        :: else -> break
        od;
        nth = 0; alive = true
    };
end:
    do
    :: atomic { alive && signals > 0 && !main_stuck && !concluded -> signals--; on_signal(); main_due = true }
    :: atomic { alive && begun_by_post > 0 && !ended[DEBUG] && !stopping -> begun_by_post--; begin(by_post) }
    :: atomic { alive && withdrawals > 0 && stopping && !ended[DEBUG] -> withdrawals--; withdraw() }
    od
}

active proctype debug_part()
{
end:
    do
    :: atomic { alive && asked_to_end[DEBUG] && !ended[DEBUG] && !debug_hangs -> ended[DEBUG] = true; main_due = true }
    od
}

/* What goes wrong. Of main: only when the timer stands behind it; before that a signal is heard or is not. */
active proctype fate()
{
end:
    do
    :: atomic { alive && faults > 0 && stopping && !began && !main_stuck && !concluded -> faults--; main_stuck = true }
    :: atomic { alive && faults > 0 && !debug_hangs && !ended[DEBUG] -> faults--; debug_hangs = true }
    :: atomic { alive && faults > 0 && !wedged && !ended[APP] -> faults--; wedged = true }
    :: atomic { alive && faults > 0 && !ended[DEBUG] && !asked_to_end[DEBUG] -> faults--; fail(DEBUG, by_debug) }
    :: atomic { alive && faults > 0 && !ended[APP] && !asked_to_end[APP] && !wedged -> faults--; app_fails() }
    :: atomic { alive && faults > 0 && !tracker_closing && !asked_to_end[TRACKER] -> faults--; tracker_closing = true }
    :: atomic { alive && crashes > 0 -> crashes--; crash() }
    od
}

/* Nothing can happen any more: a stop that has begun has come to its end. */
active proctype watch()
{
end:
    do
    :: atomic { timeout -> LAW(the_model_gets_on, !alive || !stopping) }
    od
}
