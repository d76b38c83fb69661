"""The fault matrix, row by row: which fault it is, the tests that say what must come of it, and their controls.

`MATRIX` tries every deed of a source alone and beside every other; `tests/faults/matrix.py` says which row each is of.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

MATRIX: Final = (
    "tests/faults/test_fault_matrix.py::test_every_fault_of_one_source_and_every_pair_of_two_reads_as_it_must"
)
_SOURCE = "tests/connectors_http/test_faults_of_a_source.py::"
_EACH_CODE = f"{_SOURCE}test_a_fault_gives_its_own_code_in_time"
_TLS = "tests/connectors_http/test_tls.py::"
_ADDRESSES = "tests/connectors_http/test_addresses.py::"
_RETRIES = "tests/connectors_http/test_retries.py::"
_SEEDED = "tests/faults/test_seeded_defects.py::"
_FALSE_NOBODY = f"{_SEEDED}test_a_false_nobody_is_found"
_NOT_SHARED = f"{_SEEDED}test_what_sources_must_not_share_is_found"
_PLAIN_CLIENT = f"{_SOURCE}test_control_a_plain_client_believes_what_ours_refuses"
_OWN = "tests/faults/test_own_faults.py::test_a_fault_of_our_own_reads_as_it_must"
_OWN_CONTROL = "tests/faults/test_own_faults.py::test_a_defect_is_found"
_PROCESSES = "tests/end_to_end/test_several_processes.py::"
_KEYS = "tests/auth/test_keys.py::"
_ALARM = "tests/gateway/test_alarms.py::test_a_fault_that_somebody_must_look_at_raises_its_alarm_the_first_time"
_NO_ALARM = "tests/gateway/test_alarms.py::test_a_series_that_was_not_there_before_raises_nothing"
_AGREEMENTS = "tests/gateway/test_agreements_in_force.py::"


@dataclass(frozen=True)
class Row:
    """A fault, and where it is tried."""

    fault: str
    tests: tuple[str, ...]
    controls: tuple[str, ...] = (_FALSE_NOBODY,)


ROWS: Final[Mapping[int, Row]] = {
    1: Row("connection refused", (MATRIX, f"{_SOURCE}test_a_refused_connection_is_a_fault_of_connecting")),
    2: Row("SYN black-hole", (f"{_SOURCE}test_a_host_that_swallows_connections_fails_before_the_deadline",)),
    3: Row("accept then silence", (MATRIX, _EACH_CODE)),
    4: Row("body drip", (MATRIX, _EACH_CODE)),
    5: Row("header drip", (MATRIX, _EACH_CODE)),
    6: Row("truncated, Content-Length", (MATRIX, _EACH_CODE)),
    7: Row("truncated, close-delimited", (MATRIX, _EACH_CODE)),
    8: Row("close-delimited []", (MATRIX, _EACH_CODE), (_FALSE_NOBODY, _PLAIN_CLIENT)),
    9: Row("chunked, cut after a valid []", (MATRIX, _EACH_CODE)),
    10: Row("HTML login page, 200", (MATRIX, _EACH_CODE)),
    11: Row("gzip bomb", (MATRIX, _EACH_CODE), (_PLAIN_CLIENT,)),
    12: Row("128 MB chunked body", (MATRIX, _EACH_CODE)),
    13: Row("5 MB header", (MATRIX, _EACH_CODE)),
    14: Row("binary garbage", (MATRIX, _EACH_CODE)),
    15: Row(
        "RST mid-way",
        (
            MATRIX,
            _EACH_CODE,
            f"{_RETRIES}test_what_cannot_have_been_answered_is_tried_once_more_under_the_same_id",
            f"{_RETRIES}test_it_is_not_tried_a_third_time",
        ),
    ),
    16: Row("302 to a metadata address", (MATRIX, f"{_SOURCE}test_a_redirect_is_never_followed")),
    17: Row("200 with an empty body, 204", (MATRIX, _EACH_CODE)),
    18: Row(
        "NaN, duplicate keys",
        (MATRIX, _EACH_CODE, "tests/connectors_http/test_strict_json.py::test_what_is_not_strict_is_refused"),
        (_PLAIN_CLIENT,),
    ),
    19: Row(
        "another schema",
        (
            MATRIX,
            f"{_SOURCE}test_an_answer_of_another_shape_is_a_fault_of_schema",
            "tests/connectors/contract/test_contract.py::test_a_source_in_trouble_gave_no_answer_about_anybody",
        ),
        (
            _FALSE_NOBODY,
            "tests/connectors/contract/test_contract_catches.py::test_a_connector_with_this_flaw_does_not_pass",
        ),
    ),
    20: Row(
        "answer about another child",
        (
            MATRIX,
            "tests/gateway/test_lookup.py::test_an_answer_about_another_child_is_no_answer_and_an_alarm",
            f"{_ALARM}[MISMATCH]",
            "tests/connectors/contract/test_contract.py::test_the_record_of_somebody_else_is_never_taken_for_the_subjects",
        ),
        ("tests/connectors/contract/test_contract_catches.py::test_a_connector_with_this_flaw_does_not_pass",),
    ),
    21: Row(
        "401 and 403",
        (
            MATRIX,
            _EACH_CODE,
            "tests/connectors_http/test_oauth.py::test_fixed_credentials_are_sent_and_a_401_is_not_tried_again",
            f"{_ALARM}[AUTH]",
            f"{_ALARM}[TOKEN_ENDPOINT]",
        ),
        (_FALSE_NOBODY, _NO_ALARM),
    ),
    22: Row(
        "404",
        (
            MATRIX,
            f"{_SOURCE}test_a_typed_not_found_is_read_where_it_is_expected",
            f"{_SOURCE}test_a_bare_not_found_is_no_answer_even_where_one_is_expected",
        ),
    ),
    23: Row(
        "429 and 503 with Retry-After",
        (
            MATRIX,
            f"{_SOURCE}test_retry_after_is_read_but_not_believed",
            f"{_RETRIES}test_a_503_is_tried_again_only_when_it_names_a_time_that_is_left",
        ),
    ),
    24: Row(
        "500 once",
        (
            MATRIX,
            f"{_RETRIES}test_what_cannot_have_been_answered_is_tried_once_more_under_the_same_id",
            f"{_RETRIES}test_a_source_in_trouble_is_asked_a_tenth_more_and_not_twice_as_much",
        ),
    ),
    25: Row(
        "TLS",
        (
            MATRIX,
            f"{_TLS}test_a_source_with_a_flawed_certificate_is_not_asked",
            f"{_TLS}test_a_source_that_refuses_our_certificate_is_a_fault_of_tls",
            f"{_ALARM}[TLS]",
        ),
        (
            _NO_ALARM,
            f"{_TLS}test_a_source_with_a_good_certificate_answers",
        ),
    ),
    26: Row(
        "DNS",
        (
            MATRIX,
            f"{_ADDRESSES}test_a_name_that_does_not_resolve_in_time_is_a_fault_of_dns",
            f"{_ADDRESSES}test_a_name_that_resolves_inside_is_forbidden",
            f"{_ADDRESSES}test_a_name_that_changes_its_answer_gets_no_second_connection",
        ),
    ),
    27: Row(
        "duplicate practitioners",
        (
            MATRIX,
            "tests/gateway/test_merge.py::"
            "test_one_registered_practitioner_whom_two_sources_name_is_one_entry_with_both_sources",
            "tests/gateway/test_merge.py::test_two_people_of_one_name_are_two_entries",
        ),
    ),
    28: Row(
        "one id, conflicting telephones",
        (MATRIX, "tests/gateway/test_merge.py::test_rows_that_contradict_each_other_both_stay_each_with_its_source"),
    ),
    29: Row("10 000 practitioners", (MATRIX, f"{_ALARM}[TOO_LARGE]"), (_FALSE_NOBODY, _NO_ALARM)),
    30: Row(
        "a source's clock",
        (MATRIX, f"{_OWN}[30-a-source-s-clock]"),
        (f"{_OWN_CONTROL}[30-a-source-s-clock-believes_the_future]",),
    ),
    31: Row(
        "control characters, a name of 1 MB, HTML",
        (
            MATRIX,
            "tests/connectors/contract/test_mutated_answers.py::"
            "test_one_member_changed_into_anything_gives_an_answer_or_none_and_never_an_exception",
            "tests/connectors/health/test_reading.py::test_a_name_with_characters_that_deceive_is_refused",
            "tests/identity_provider/test_rendering.py::test_what_an_agency_wrote_neither_steers_the_terminal_nor_is_markup",
        ),
    ),
    32: Row(
        "flapping",
        (
            f"{_SEEDED}test_a_flapping_source_opens_its_circuit_and_costs_no_other_source_its_answer",
            "tests/gateway/test_breaker.py::test_half_of_twenty_failing_within_ten_seconds_opens_it",
        ),
    ),
    33: Row(
        "one connector that hangs",
        (
            "tests/gateway/test_batching.py::test_a_full_bulkhead_of_one_source_leaves_another_free",
            f"{_SOURCE}test_a_full_bulkhead_refuses_at_once_and_empties_again",
            f"{_SOURCE}test_a_source_that_holds_all_its_connections_takes_none_from_another",
            "tests/gateway/test_lookup.py::test_a_slow_source_reads_timeout_and_the_others_are_whole",
        ),
        (_NOT_SHARED,),
    ),
    34: Row("the gateway's clock", (f"{_OWN}[34-our-clock]",), (f"{_OWN_CONTROL}[34-our-clock-looks_at_no_clock]",)),
    35: Row(
        "the database locked",
        (
            f"{_OWN}[35-database-locked]",
            "tests/audit/test_log.py::test_a_database_that_stays_busy_refuses_every_waiter_and_records_none",
            "tests/audit/test_log.py::test_readiness_returns_without_a_caller",
        ),
        (
            f"{_OWN_CONTROL}[35-database-locked-takes_busy_for_written]",
            f"{_OWN_CONTROL}[35-database-locked-waits_for_the_lock]",
        ),
    ),
    36: Row(
        "disk full, read-only, EIO",
        (
            "tests/crash/test_storage_faults.py::test_whichever_call_fails_nothing_is_told_without_a_durable_outcome",
            "tests/audit/test_log.py::test_after_a_failure_of_storage_nothing_is_ever_acknowledged",
            "tests/audit/test_log.py::test_a_full_disk_stops_the_log",
            "tests/end_to_end/test_serve.py::test_a_gateway_whose_log_fails_discloses_nothing_and_ends_with_a_failure",
        ),
        ("tests/crash/test_storage_faults.py::test_a_gateway_that_does_not_stop_when_storage_fails_is_caught",),
    ),
    37: Row(
        "PostgreSQL down",
        (
            "tests/crash/test_database_kill.py::"
            "test_whenever_the_database_is_killed_every_answer_has_its_outcome_when_it_is_back",
            "tests/audit/test_postgresql.py::test_while_the_server_is_gone_nothing_is_recorded_and_the_process_lives",
            "tests/audit/test_postgresql.py::test_a_server_that_stands_still_is_not_waited_for",
        ),
        ("tests/crash/test_database_kill.py::test_a_gateway_that_commits_asynchronously_is_caught",),
    ),
    38: Row(
        "key set down",
        (
            f"{_OWN}[38-keys]",
            f"{_KEYS}test_the_last_good_keys_serve_for_an_hour_and_then_nobody_can_tell",
            f"{_KEYS}test_a_server_that_never_had_keys_is_not_ready_and_says_so_rather_than_refuse",
            f"{_KEYS}test_a_removed_key_is_dead_within_five_minutes_even_for_a_token_seen_before",
        ),
        (f"{_OWN_CONTROL}[38-keys-keeps_keys_for_ever]",),
    ),
    39: Row(
        "policy file corrupt or missing",
        (
            f"{_OWN}[39-agreements]",
            f"{_AGREEMENTS}test_a_malformed_set_leaves_the_last_good_one_in_force_and_says_where_the_fault_is",
            f"{_AGREEMENTS}test_a_set_of_which_something_is_gone_is_not_taken",
        ),
        (f"{_OWN_CONTROL}[39-agreements-takes_what_it_can_read_of_the_agreements]",),
    ),
    40: Row(
        "witness down",
        (
            f"{_OWN}[40-witness]",
            "tests/audit/test_witness.py::"
            "test_after_five_minutes_there_is_an_alarm_and_after_four_hours_nothing_is_disclosed",
            "tests/audit/test_witness.py::test_the_lag_survives_a_restart",
        ),
        (f"{_OWN_CONTROL}[40-witness-discloses_unseen]",),
    ),
    41: Row(
        "SIGTERM under load; SIGKILL of one of two",
        (
            "tests/end_to_end/test_rolling_restart.py::test_a_rolling_restart_of_two_gateways_fails_no_request",
            f"{_PROCESSES}test_two_gateways_on_one_postgresql_go_on_as_one_when_the_other_is_killed_under_load",
            f"{_PROCESSES}test_two_workers_on_one_file_share_the_load_and_one_that_is_killed_is_started_again",
        ),
        (
            "tests/end_to_end/test_rolling_restart.py::test_a_gateway_that_closes_its_door_at_once_would_be_noticed",
            "tests/end_to_end/test_kill.py::test_a_gateway_that_answers_before_its_outcome_is_durable_is_caught",
        ),
    ),
    42: Row(
        "out of memory",
        (
            "tests/crash/test_memory.py::"
            "test_when_memory_runs_out_no_practitioner_reached_a_client_without_a_durable_outcome",
        ),
        ("tests/crash/test_memory.py::test_a_gateway_that_answers_before_its_outcome_is_durable_is_caught",),
    ),
    43: Row(
        "ten times the load",
        (
            f"{_OWN}[43-overload]",
            "tests/gateway/test_shedding.py::"
            "test_the_limit_grows_while_turns_are_short_and_shrinks_when_they_are_long_and_never_below_its_least",
            "tests/gateway/test_shedding.py::test_a_refused_request_costs_no_budget_asks_nobody_and_leaves_no_record",
        ),
        (f"{_OWN_CONTROL}[43-overload-lets_everybody_in]",),
    ),
}
