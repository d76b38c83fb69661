"""Names for fictional people: many of the languages that are spoken at home in England, some in two spellings."""

from __future__ import annotations


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


GIRLS = _words(
    """
    Ada Aisha Alma Amara Beatrix Blessing Carys Chiara Daria Eilidh Elif Esme Farah Freya Grace Hafsa Hope Imogen
    Ines Ivy Jaya Keira Kasia Layla Lina Mabel Maryam Mei Mina Nadia Nell Ngozi Oksana Olwen Orla Priya Rania Rosa
    Ruby Saoirse Sara Simran Sofia Tamar Thea Uma Violet Wanda Xin Yara Yusra Zainab Zofia
    """
)

BOYS = _words(
    """
    Adam Ahmed Alfie Amir Arlo Ben Bilal Callum Chidi Conor Dawit Dev Dylan Eddie Elias Emeka Ewan Faisal Finn
    George Hamza Harvey Hassan Idris Ioan Isaac Jakub Jamal Joel Jude Kai Kofi Leon Luca Malik Marek Mateo Milo Musa
    Noah Olek Omar Oscar Pavel Rafi Rhys Samir Sunny Teddy Tomasz Umar Viktor Yusuf Zak
    """
)

FAMILIES = _words(
    """
    Abbott Adeyemi Akhtar Ashdown Bains Barlow Begum Bello Birch Blackwood Bose Brennan Bryn Cartwright Chaudhry
    Chen Clegg Cole Coyle Dabrowski Danso Dhillon Doyle Drummond Eastwood Eze Fairley Farouk Fenwick Flint Gill Gunn
    Hadley Haile Hardy Hashmi Hirst Hollis Hoxha Ibrahim Ilves Ingram Jarvis Joshi Kamara Kaur Keating Khalil
    Kowalczyk Kumar Lacey Lam Laverty Lim Lowe Mackie Mahmood Marsh Mensah Mistry Moran Moyo Nash Ndlovu Nowak Nwosu
    Okeke Oakley Odell Osei Owusu Parmar Patel Peacock Pham Pritchard Quayle Rahman Rashid Rees Rowntree Sadiq
    Sandhu Santos Shah Sharp Silva Sokolov Stanton Sule Tanner Tariq Thapa Thorne Tran Turay Udoh Underhill Varga
    Vaughan Wadsworth Walsh Whelan Wozniak Yates Yeboah Zaman Zielinski
    """
)

# one name as two offices have heard it: the first is how it is written now
TRANSLITERATED = (
    (("Mohammed", "Khoury"), ("Muhammad", "Khuri")),
    (("Oleksandra", "Kovalenko"), ("Aleksandra", "Kowalenko")),
    (("Thuy", "Nguyen"), ("Thúy", "Nguyễn")),
    (("Yousef", "El-Sayed"), ("Yusuf", "Elsayed")),
    (("Zhanna", "Shevchuk"), ("Jeanne", "Chevtchouk")),
    (("Hye-jin", "Yi"), ("Hyejin", "Lee")),
)

STAFF_GIVEN = _words(
    """
    Aled Bea Callum Dina Edwin Fatima Gil Hetty Imran Jo Kemi Lars Maya Nkem Owen Pia Quentin Rosalind Seb Tess
    Usman Vera Will Yasmin Zoe
    """
)

STAFF_FAMILY = _words(
    """
    Archer Banerjee Calder Dacosta Ellis Farrow Gough Holloway Iqbal Jessop Kendrick Lister Mayhew Norris Obi
    Prentice Quinn Rafferty Saunders Tully Unwin Vickers Wren Yardley Zaman
    """
)
