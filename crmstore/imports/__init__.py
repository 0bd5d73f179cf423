"""Records from files and into files: CSV as address books and CRMs write it, and vCard.

Cores: encoding, columns, terms, csvfile, vcardlines, vcard, addresscheck, check, plan, csvout,
vcardout. Keepers: scratch (what one import must remember), apply (files into the store),
exporting (the store into files).
"""
